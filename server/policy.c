#include "policy.h"

#include <string.h>
#include <sys/wait.h>

/* What an event does to a node in one state. */
enum move {
    STAY = 0, /* it makes no sense here, or changes nothing */
    BEGIN,    /* on request: wait for its streams, with what was before forgotten */
    AGAIN,    /* the same without a request */
    SPAWN,
    RUN,
    END, /* on request: the process must go, and then ... */
    RENEW,
    ABORT,
    KILL,
    END_AT_ONCE, /* on request */
    THEN_END,    /* it is going already, and then ... */
    THEN_BEGIN,
    IS_GONE, /* on request: what comes then is known */
    IS_DONE,
    HAS_FAILED,
    REST, /* on request, without a process */
};

static const enum move moves[NODE_STATES][NODE_EVENTS] = {
    [NODE_STOPPED] = {[NODE_START] = BEGIN, [NODE_RESTART] = BEGIN},
    [NODE_WAITING] = {[NODE_STOP] = REST, [NODE_KILL] = REST, [NODE_STREAMS_READY] = SPAWN},
    [NODE_STARTING] = {[NODE_STOP] = END,
                       [NODE_RESTART] = RENEW,
                       [NODE_KILL] = END_AT_ONCE,
                       [NODE_SPAWN_FAILED] = HAS_FAILED,
                       [NODE_READY] = RUN,
                       /* Whoever waits for what it was to bring would wait for ever. */
                       [NODE_EXITED_WELL] = HAS_FAILED,
                       [NODE_EXITED_BADLY] = HAS_FAILED,
                       [NODE_HANG] = ABORT,
                       [NODE_TIME_OUT] = ABORT},
    [NODE_RUNNING] = {[NODE_STOP] = END,
                      [NODE_RESTART] = RENEW,
                      [NODE_KILL] = END_AT_ONCE,
                      [NODE_SPAWN_FAILED] = HAS_FAILED,
                      [NODE_EXITED_WELL] = IS_DONE,
                      [NODE_EXITED_BADLY] = HAS_FAILED,
                      [NODE_HANG] = ABORT},
    [NODE_STOPPING] = {[NODE_START] = THEN_BEGIN,
                       [NODE_STOP] = THEN_END,
                       [NODE_RESTART] = THEN_BEGIN,
                       [NODE_KILL] = END_AT_ONCE,
                       [NODE_SPAWN_FAILED] = IS_GONE,
                       [NODE_EXITED_WELL] = IS_GONE,
                       [NODE_EXITED_BADLY] = IS_GONE,
                       [NODE_TIME_OUT] = KILL},
    [NODE_KILLING] = {[NODE_START] = THEN_BEGIN,
                      [NODE_STOP] = THEN_END,
                      [NODE_RESTART] = THEN_BEGIN,
                      [NODE_KILL] = THEN_END,
                      [NODE_SPAWN_FAILED] = IS_GONE,
                      [NODE_EXITED_WELL] = IS_GONE,
                      [NODE_EXITED_BADLY] = IS_GONE},
    [NODE_BACKOFF] = {[NODE_START] = BEGIN,
                      [NODE_STOP] = REST,
                      [NODE_RESTART] = BEGIN,
                      [NODE_KILL] = REST,
                      [NODE_TIME_OUT] = AGAIN},
    [NODE_FAILED] =
        {[NODE_START] = BEGIN, [NODE_STOP] = REST, [NODE_RESTART] = BEGIN, [NODE_KILL] = REST},
};

void policy_init(struct policy *policy, const struct policy_settings *settings) {
    *policy = (struct policy){.settings = *settings, .deadline_ns = INT64_MAX};
}

int64_t policy_deadline_ns(const struct policy *policy) {
    return policy->deadline_ns;
}

bool policy_has_process(const struct policy *policy) {
    return policy->state == NODE_STARTING || policy->state == NODE_RUNNING ||
           policy->state == NODE_STOPPING || policy->state == NODE_KILLING;
}

static enum policy_action enter(struct policy *policy, enum node_state state, int64_t now_ns,
                                enum policy_action action) {
    policy->state = state;
    policy->since_ns = now_ns;
    policy->deadline_ns = INT64_MAX;
    return action;
}

static enum policy_action begin(struct policy *policy, int64_t now_ns) {
    policy->failures = 0;
    policy->starts = 0;
    return enter(policy, NODE_WAITING, now_ns, POLICY_AWAIT);
}

static enum policy_action spawn(struct policy *policy, int64_t now_ns) {
    if (policy->starts == POLICY_BURST_MAX)
        memmove(policy->start_ns, policy->start_ns + 1,
                --policy->starts * sizeof(policy->start_ns[0]));
    policy->start_ns[policy->starts++] = now_ns;
    policy->spawned_ns = now_ns;
    enter(policy, NODE_STARTING, now_ns, POLICY_SPAWN);
    if (policy->settings.ready_timeout_ns)
        policy->deadline_ns = now_ns + policy->settings.ready_timeout_ns;
    return POLICY_SPAWN;
}

static enum policy_action stop(struct policy *policy, enum policy_sequel sequel, int64_t now_ns) {
    policy->sequel = sequel;
    enter(policy, NODE_STOPPING, now_ns, POLICY_SIGNAL);
    policy->deadline_ns = now_ns + policy->settings.stop_timeout_ns;
    return POLICY_SIGNAL;
}

static enum policy_action give_up(struct policy *policy, int64_t now_ns) {
    return enter(policy, NODE_FAILED, now_ns, POLICY_GIVE_UP);
}

/* Whether a start then would be one more than the limit allows. */
static bool is_burst(const struct policy *policy, int64_t start_ns) {
    const struct policy_settings *settings = &policy->settings;
    const unsigned allowed =
        settings->burst_starts < POLICY_BURST_MAX ? settings->burst_starts : POLICY_BURST_MAX;
    return allowed && policy->starts >= allowed &&
           start_ns - policy->start_ns[policy->starts - allowed] < settings->burst_interval_ns;
}

static int64_t next_delay_ns(const struct policy *policy) {
    const struct policy_settings *settings = &policy->settings;
    int64_t delay_ns = settings->delay_ns;
    for (unsigned i = 0; i < policy->failures && delay_ns < settings->delay_max_ns; i++)
        delay_ns = delay_ns > settings->delay_max_ns / 2 ? settings->delay_max_ns : delay_ns * 2;
    return delay_ns;
}

static enum policy_action back_off(struct policy *policy, int64_t now_ns) {
    if (now_ns - policy->spawned_ns > policy->settings.burst_interval_ns)
        policy->failures = 0;
    const int64_t start_ns = now_ns + next_delay_ns(policy);
    if (is_burst(policy, start_ns))
        return give_up(policy, now_ns);
    policy->failures++;
    enter(policy, NODE_BACKOFF, now_ns, POLICY_NONE);
    policy->deadline_ns = start_ns;
    return POLICY_NONE;
}

static enum policy_action be_done(struct policy *policy, int64_t now_ns) {
    if (policy->settings.restart == POLICY_RESTART_ALWAYS)
        return back_off(policy, now_ns);
    return enter(policy, NODE_STOPPED, now_ns, POLICY_NONE);
}

static enum policy_action have_failed(struct policy *policy, int64_t now_ns) {
    if (policy->settings.restart == POLICY_RESTART_NO)
        return give_up(policy, now_ns);
    return back_off(policy, now_ns);
}

static enum policy_action be_gone(struct policy *policy, int64_t now_ns) {
    switch (policy->sequel) {
    case POLICY_THEN_STOP:
        break;
    case POLICY_THEN_START:
        return begin(policy, now_ns);
    case POLICY_THEN_FAILURE:
        return have_failed(policy, now_ns);
    }
    return enter(policy, NODE_STOPPED, now_ns, POLICY_NONE);
}

enum policy_action policy_handle(struct policy *policy, enum node_event event, int64_t now_ns) {
    if (event == NODE_TIME_OUT && now_ns < policy->deadline_ns)
        return POLICY_NONE;
    switch (moves[policy->state][event]) {
    case STAY:
        break;
    case BEGIN:
        return begin(policy, now_ns);
    case AGAIN:
        policy->restarts++;
        return enter(policy, NODE_WAITING, now_ns, POLICY_AWAIT);
    case SPAWN:
        return spawn(policy, now_ns);
    case RUN:
        return enter(policy, NODE_RUNNING, now_ns, POLICY_NONE);
    case END:
        return stop(policy, POLICY_THEN_STOP, now_ns);
    case RENEW:
        return stop(policy, POLICY_THEN_START, now_ns);
    case ABORT:
        return stop(policy, POLICY_THEN_FAILURE, now_ns);
    case KILL:
        return enter(policy, NODE_KILLING, now_ns, POLICY_KILL);
    case END_AT_ONCE:
        policy->sequel = POLICY_THEN_STOP;
        return enter(policy, NODE_KILLING, now_ns, POLICY_KILL);
    case THEN_END:
        policy->sequel = POLICY_THEN_STOP;
        break;
    case THEN_BEGIN:
        policy->sequel = POLICY_THEN_START;
        break;
    case IS_GONE:
        return be_gone(policy, now_ns);
    case IS_DONE:
        return be_done(policy, now_ns);
    case HAS_FAILED:
        return have_failed(policy, now_ns);
    case REST:
        return enter(policy, NODE_STOPPED, now_ns, POLICY_NONE);
    }
    return POLICY_NONE;
}

enum node_event policy_judge_exit(const siginfo_t *end, int asked_signal) {
    const bool is_exit = end->si_code == CLD_EXITED;
    const bool is_signal = end->si_code == CLD_KILLED || end->si_code == CLD_DUMPED;
    if (is_exit && end->si_status == 0)
        return NODE_EXITED_WELL;
    if (asked_signal && is_exit && end->si_status == 128 + asked_signal)
        return NODE_EXITED_WELL;
    if (is_signal && end->si_status == asked_signal)
        return NODE_EXITED_WELL;
    return NODE_EXITED_BADLY;
}

const char *policy_state_name(enum node_state state) {
    static const char *const names[NODE_STATES] = {
        [NODE_STOPPED] = "stopped",  [NODE_WAITING] = "waiting",   [NODE_STARTING] = "starting",
        [NODE_RUNNING] = "running",  [NODE_STOPPING] = "stopping", [NODE_KILLING] = "killing",
        [NODE_BACKOFF] = "back-off", [NODE_FAILED] = "failed",
    };
    return names[state];
}
