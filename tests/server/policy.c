/* The restart policy with a clock of the test's own: every state and event, back-off, bursts. */
#include "policy.h"

#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../library/suite.h"

#define SECOND_NS INT64_C(1000000000)
/* Where a node's story begins: any time but 0. */
#define THEN_NS (1000 * SECOND_NS)

static const struct policy_settings usual = {
    .restart = POLICY_RESTART_ON_FAILURE,
    .delay_ns = SECOND_NS,
    .delay_max_ns = 10 * SECOND_NS,
    .burst_starts = 5,
    .burst_interval_ns = 30 * SECOND_NS,
    .ready_timeout_ns = 7 * SECOND_NS,
    .stop_timeout_ns = 3 * SECOND_NS,
};

static const char *const event_names[NODE_EVENTS] = {
    "START", "STOP",        "RESTART",      "KILL", "STREAMS_READY", "SPAWN_FAILED",
    "READY", "EXITED_WELL", "EXITED_BADLY", "HANG", "TIME_OUT",
};
static const char *const action_names[] = {"-", "AWAIT", "SPAWN", "SIGNAL", "KILL", "GIVE_UP"};

static const char *const sequel_names[] = {", then stop", ", then start", ", then failure"};

/* Brings a new node into a state; the time is THEN_NS after that. */
static void bring(struct policy *policy, enum node_state state, enum policy_sequel sequel) {
    static const enum node_event road[NODE_STATES][6] = {
        [NODE_STOPPED] = {NODE_EVENTS},
        [NODE_WAITING] = {NODE_START, NODE_EVENTS},
        [NODE_STARTING] = {NODE_START, NODE_STREAMS_READY, NODE_EVENTS},
        [NODE_RUNNING] = {NODE_START, NODE_STREAMS_READY, NODE_READY, NODE_EVENTS},
        [NODE_STOPPING] = {NODE_START, NODE_STREAMS_READY, NODE_READY, NODE_EVENTS},
        [NODE_KILLING] = {NODE_START, NODE_STREAMS_READY, NODE_READY, NODE_EVENTS},
        [NODE_BACKOFF] = {NODE_START, NODE_STREAMS_READY, NODE_READY, NODE_EXITED_BADLY,
                          NODE_EVENTS},
        [NODE_FAILED] = {NODE_START, NODE_STREAMS_READY, NODE_READY, NODE_EVENTS},
    };
    static const enum node_event ends[] = {NODE_STOP, NODE_RESTART, NODE_HANG};
    policy_init(policy, &usual);
    for (unsigned i = 0; road[state][i] != NODE_EVENTS; i++)
        policy_handle(policy, road[state][i], THEN_NS);
    if (state == NODE_STOPPING || state == NODE_KILLING)
        policy_handle(policy, ends[sequel], THEN_NS);
    if (state == NODE_KILLING)
        policy_handle(policy, NODE_TIME_OUT, policy_deadline_ns(policy));
    if (state == NODE_FAILED) {
        policy->settings.restart = POLICY_RESTART_NO;
        policy_handle(policy, NODE_EXITED_BADLY, THEN_NS);
        policy->settings.restart = usual.restart;
    }
    ck_assert_str_eq(policy_state_name(policy->state), policy_state_name(state));
}

/* What each event leads to, in the order of enum node_event: state and action; what follows, if
 * the process is on its way out; "again" if that is a restart nobody asked for. */
struct row {
    enum node_state state;
    enum policy_sequel sequel;
    const char *next[NODE_EVENTS];
};
static const struct row rows[] = {
    {NODE_STOPPED,
     POLICY_THEN_STOP,
     {"waiting AWAIT", "stopped -", "waiting AWAIT", "stopped -", "stopped -", "stopped -",
      "stopped -", "stopped -", "stopped -", "stopped -", "stopped -"}},
    {NODE_WAITING,
     POLICY_THEN_STOP,
     {"waiting -", "stopped -", "waiting -", "stopped -", "starting SPAWN", "waiting -",
      "waiting -", "waiting -", "waiting -", "waiting -", "waiting -"}},
    {NODE_STARTING,
     POLICY_THEN_STOP,
     {"starting -", "stopping SIGNAL, then stop", "stopping SIGNAL, then start",
      "killing KILL, then stop", "starting -", "back-off -", "running -", "back-off -",
      "back-off -", "stopping SIGNAL, then failure", "stopping SIGNAL, then failure"}},
    {NODE_RUNNING,
     POLICY_THEN_STOP,
     {"running -", "stopping SIGNAL, then stop", "stopping SIGNAL, then start",
      "killing KILL, then stop", "running -", "back-off -", "running -", "stopped -", "back-off -",
      "stopping SIGNAL, then failure", "running -"}},
    {NODE_STOPPING,
     POLICY_THEN_STOP,
     {"stopping -, then start", "stopping -, then stop", "stopping -, then start",
      "killing KILL, then stop", "stopping -, then stop", "stopped -", "stopping -, then stop",
      "stopped -", "stopped -", "stopping -, then stop", "killing KILL, then stop"}},
    {NODE_STOPPING,
     POLICY_THEN_START,
     {"stopping -, then start", "stopping -, then stop", "stopping -, then start",
      "killing KILL, then stop", "stopping -, then start", "waiting AWAIT",
      "stopping -, then start", "waiting AWAIT", "waiting AWAIT", "stopping -, then start",
      "killing KILL, then start"}},
    {NODE_STOPPING,
     POLICY_THEN_FAILURE,
     {"stopping -, then start", "stopping -, then stop", "stopping -, then start",
      "killing KILL, then stop", "stopping -, then failure", "back-off -",
      "stopping -, then failure", "back-off -", "back-off -", "stopping -, then failure",
      "killing KILL, then failure"}},
    {NODE_KILLING,
     POLICY_THEN_STOP,
     {"killing -, then start", "killing -, then stop", "killing -, then start",
      "killing -, then stop", "killing -, then stop", "stopped -", "killing -, then stop",
      "stopped -", "stopped -", "killing -, then stop", "killing -, then stop"}},
    {NODE_KILLING,
     POLICY_THEN_START,
     {"killing -, then start", "killing -, then stop", "killing -, then start",
      "killing -, then stop", "killing -, then start", "waiting AWAIT", "killing -, then start",
      "waiting AWAIT", "waiting AWAIT", "killing -, then start", "killing -, then start"}},
    {NODE_KILLING,
     POLICY_THEN_FAILURE,
     {"killing -, then start", "killing -, then stop", "killing -, then start",
      "killing -, then stop", "killing -, then failure", "back-off -", "killing -, then failure",
      "back-off -", "back-off -", "killing -, then failure", "killing -, then failure"}},
    {NODE_BACKOFF,
     POLICY_THEN_STOP,
     {"waiting AWAIT", "stopped -", "waiting AWAIT", "stopped -", "back-off -", "back-off -",
      "back-off -", "back-off -", "back-off -", "back-off -", "waiting AWAIT, again"}},
    {NODE_FAILED,
     POLICY_THEN_STOP,
     {"waiting AWAIT", "stopped -", "waiting AWAIT", "stopped -", "failed -", "failed -",
      "failed -", "failed -", "failed -", "failed -", "failed -"}},
};

START_TEST(every_event_in_every_state_leads_where_the_table_says) {
    bool is_known[NODE_STATES] = {false};
    for (size_t r = 0; r < SUITE_COUNT(rows); r++) {
        const struct row *row = &rows[r];
        is_known[row->state] = true;
        for (enum node_event event = 0; event < NODE_EVENTS; event++) {
            struct policy policy;
            bring(&policy, row->state, row->sequel);
            const enum policy_action action =
                policy_handle(&policy, event, event == NODE_TIME_OUT ? INT64_MAX : THEN_NS);
            const bool is_going = policy.state == NODE_STOPPING || policy.state == NODE_KILLING;
            char got[64];
            snprintf(got, sizeof(got), "%s %s%s%s", policy_state_name(policy.state),
                     action_names[action], is_going ? sequel_names[policy.sequel] : "",
                     policy.restarts ? ", again" : "");
            ck_assert_msg(strcmp(got, row->next[event]) == 0, "%s%s, %s: \"%s\", not \"%s\"",
                          policy_state_name(row->state), sequel_names[row->sequel],
                          event_names[event], got, row->next[event]);
        }
    }
    for (enum node_state state = 0; state < NODE_STATES; state++)
        ck_assert_msg(is_known[state], "%s has no row", policy_state_name(state));
}
END_TEST

static struct policy_settings with_restart(enum policy_restart restart) {
    struct policy_settings settings = usual;
    settings.restart = restart;
    return settings;
}

static void run(struct policy *policy, int64_t now_ns) {
    if (policy->state != NODE_WAITING)
        ck_assert_int_eq(policy_handle(policy, NODE_START, now_ns), POLICY_AWAIT);
    ck_assert_int_eq(policy_handle(policy, NODE_STREAMS_READY, now_ns), POLICY_SPAWN);
    policy_handle(policy, NODE_READY, now_ns);
    ck_assert_int_eq(policy->state, NODE_RUNNING);
}

START_TEST(an_end_is_followed_by_what_restart_says) {
    static const struct {
        enum policy_restart restart;
        enum node_event end;
        enum node_state state;
        enum policy_action action;
    } cases[] = {
        {POLICY_RESTART_NO, NODE_EXITED_WELL, NODE_STOPPED, POLICY_NONE},
        {POLICY_RESTART_NO, NODE_EXITED_BADLY, NODE_FAILED, POLICY_GIVE_UP},
        {POLICY_RESTART_ON_FAILURE, NODE_EXITED_WELL, NODE_STOPPED, POLICY_NONE},
        {POLICY_RESTART_ON_FAILURE, NODE_EXITED_BADLY, NODE_BACKOFF, POLICY_NONE},
        {POLICY_RESTART_ALWAYS, NODE_EXITED_WELL, NODE_BACKOFF, POLICY_NONE},
        {POLICY_RESTART_ALWAYS, NODE_EXITED_BADLY, NODE_BACKOFF, POLICY_NONE},
    };
    for (size_t i = 0; i < SUITE_COUNT(cases); i++) {
        struct policy policy;
        const struct policy_settings settings = with_restart(cases[i].restart);
        policy_init(&policy, &settings);
        run(&policy, THEN_NS);
        ck_assert_int_eq(policy_handle(&policy, cases[i].end, THEN_NS), cases[i].action);
        ck_assert_int_eq(policy.state, cases[i].state);
    }
}
END_TEST

START_TEST(a_node_that_never_gets_ready_has_failed) {
    struct policy policy;
    policy_init(&policy, &usual);
    policy_handle(&policy, NODE_START, THEN_NS);
    policy_handle(&policy, NODE_STREAMS_READY, THEN_NS);
    ck_assert_int_eq(policy_deadline_ns(&policy), THEN_NS + usual.ready_timeout_ns);
    ck_assert_int_eq(policy_handle(&policy, NODE_TIME_OUT, THEN_NS + usual.ready_timeout_ns),
                     POLICY_SIGNAL);
    policy_handle(&policy, NODE_EXITED_WELL, THEN_NS + 8 * SECOND_NS);
    ck_assert_int_eq(policy.state, NODE_BACKOFF);
}
END_TEST

START_TEST(without_a_time_out_readiness_is_waited_for) {
    struct policy_settings settings = usual;
    settings.ready_timeout_ns = 0;
    struct policy policy;
    policy_init(&policy, &settings);
    policy_handle(&policy, NODE_START, THEN_NS);
    policy_handle(&policy, NODE_STREAMS_READY, THEN_NS);
    ck_assert_int_eq(policy_deadline_ns(&policy), INT64_MAX);
}
END_TEST

START_TEST(a_time_out_that_comes_early_changes_nothing) {
    struct policy policy;
    policy_init(&policy, &usual);
    run(&policy, THEN_NS);
    policy_handle(&policy, NODE_STOP, THEN_NS);
    const int64_t deadline_ns = policy_deadline_ns(&policy);
    ck_assert_int_eq(deadline_ns, THEN_NS + usual.stop_timeout_ns);
    ck_assert_int_eq(policy_handle(&policy, NODE_TIME_OUT, deadline_ns - 1), POLICY_NONE);
    ck_assert_int_eq(policy.state, NODE_STOPPING);
    ck_assert_int_eq(policy_handle(&policy, NODE_TIME_OUT, deadline_ns), POLICY_KILL);
    ck_assert_int_eq(policy_deadline_ns(&policy), INT64_MAX);
}
END_TEST

/* Fails at once, and waits for its back-off. Returns how long that is. */
static int64_t fail_once(struct policy *policy, int64_t *now_ns) {
    run(policy, *now_ns);
    policy_handle(policy, NODE_EXITED_BADLY, *now_ns);
    ck_assert_int_eq(policy->state, NODE_BACKOFF);
    const int64_t delay_ns = policy_deadline_ns(policy) - *now_ns;
    *now_ns += delay_ns;
    policy_handle(policy, NODE_TIME_OUT, *now_ns);
    ck_assert_int_eq(policy->state, NODE_WAITING);
    return delay_ns;
}

START_TEST(the_delay_doubles_up_to_its_limit) {
    static const int64_t seconds[] = {1, 2, 4, 8, 10, 10, 10};
    struct policy_settings settings = usual;
    settings.burst_starts = 0;
    struct policy policy;
    policy_init(&policy, &settings);
    int64_t now_ns = THEN_NS;
    for (size_t i = 0; i < SUITE_COUNT(seconds); i++) {
        ck_assert_int_eq(fail_once(&policy, &now_ns), seconds[i] * SECOND_NS);
        ck_assert_uint_eq(policy.restarts, i + 1);
    }
}
END_TEST

START_TEST(delays_at_the_edges_do_not_wrap) {
    static const int64_t edges[][2] = {
        {0, 0}, {0, SECOND_NS}, {1, INT64_MAX / 4}, {INT64_MAX / 4, INT64_MAX / 4}};
    for (size_t e = 0; e < SUITE_COUNT(edges); e++) {
        struct policy_settings settings = usual;
        settings.burst_starts = 0;
        settings.delay_ns = edges[e][0];
        settings.delay_max_ns = edges[e][1];
        struct policy policy;
        policy_init(&policy, &settings);
        for (unsigned i = 0; i < 200; i++) {
            run(&policy, THEN_NS);
            policy_handle(&policy, NODE_EXITED_BADLY, THEN_NS);
            const int64_t delay_ns = policy_deadline_ns(&policy) - THEN_NS;
            ck_assert_int_ge(delay_ns, settings.delay_ns);
            ck_assert_int_le(delay_ns, settings.delay_max_ns);
            policy_handle(&policy, NODE_TIME_OUT, INT64_MAX);
        }
        ck_assert_int_eq(policy.failures, 200);
    }
}
END_TEST

START_TEST(a_good_run_makes_the_delay_short_again) {
    struct policy policy;
    policy_init(&policy, &usual);
    int64_t now_ns = THEN_NS;
    fail_once(&policy, &now_ns);
    ck_assert_int_eq(fail_once(&policy, &now_ns), 2 * SECOND_NS);

    run(&policy, now_ns);
    now_ns += usual.burst_interval_ns;
    policy_handle(&policy, NODE_EXITED_BADLY, now_ns);
    ck_assert_int_eq(policy_deadline_ns(&policy), now_ns + 4 * SECOND_NS);

    now_ns += 4 * SECOND_NS;
    policy_handle(&policy, NODE_TIME_OUT, now_ns);
    run(&policy, now_ns);
    now_ns += usual.burst_interval_ns + 1;
    policy_handle(&policy, NODE_EXITED_BADLY, now_ns);
    ck_assert_int_eq(policy_deadline_ns(&policy), now_ns + SECOND_NS);
}
END_TEST

/* Starts at the given seconds, each run ending just before the next; returns which start was
 * refused, or the number of starts. */
static size_t start_at(const int64_t *seconds, size_t count) {
    struct policy_settings settings = usual;
    settings.delay_ns = settings.delay_max_ns = 0;
    settings.burst_starts = 3;
    settings.burst_interval_ns = 10 * SECOND_NS;
    struct policy policy;
    policy_init(&policy, &settings);
    for (size_t i = 0; i < count; i++) {
        const int64_t now_ns = THEN_NS + seconds[i] * SECOND_NS;
        if (i > 0) {
            const enum policy_action action = policy_handle(&policy, NODE_EXITED_BADLY, now_ns);
            if (action == POLICY_GIVE_UP) {
                ck_assert_int_eq(policy.state, NODE_FAILED);
                ck_assert_int_eq(policy_deadline_ns(&policy), INT64_MAX);
                return i;
            }
            policy_handle(&policy, NODE_TIME_OUT, now_ns);
        }
        run(&policy, now_ns);
    }
    return count;
}

START_TEST(more_starts_than_the_limit_within_its_interval_are_given_up) {
    ck_assert_uint_eq(start_at((const int64_t[]){0, 1, 2, 3}, 4), 3);
    ck_assert_uint_eq(start_at((const int64_t[]){0, 4, 8, 9}, 4), 3);
    /* The window slides: the first start is out of it when the fourth comes. */
    ck_assert_uint_eq(start_at((const int64_t[]){0, 4, 8, 10, 14, 18, 20}, 7), 7);
    ck_assert_uint_eq(start_at((const int64_t[]){0, 8, 9, 10, 11}, 5), 4);
}
END_TEST

START_TEST(a_limit_as_large_as_there_is_counts_what_it_says) {
    struct policy_settings settings = usual;
    settings.delay_ns = settings.delay_max_ns = 0;
    settings.burst_starts = POLICY_BURST_MAX;
    struct policy policy;
    policy_init(&policy, &settings);
    int64_t now_ns = THEN_NS;
    for (unsigned i = 0; i < POLICY_BURST_MAX - 1; i++)
        fail_once(&policy, &now_ns);
    run(&policy, now_ns);
    ck_assert_int_eq(policy_handle(&policy, NODE_EXITED_BADLY, now_ns), POLICY_GIVE_UP);
}
END_TEST

START_TEST(without_a_limit_it_goes_on_for_ever) {
    struct policy_settings settings = usual;
    settings.delay_ns = settings.delay_max_ns = 0;
    settings.burst_starts = 0;
    struct policy policy;
    policy_init(&policy, &settings);
    int64_t now_ns = THEN_NS;
    for (unsigned i = 0; i < 3 * POLICY_BURST_MAX; i++)
        fail_once(&policy, &now_ns);
    ck_assert_uint_eq(policy.restarts, 3 * POLICY_BURST_MAX);
}
END_TEST

START_TEST(a_request_forgets_failures_and_is_no_restart) {
    static const enum node_event requests[] = {NODE_START, NODE_RESTART};
    for (size_t i = 0; i < SUITE_COUNT(requests); i++) {
        struct policy_settings settings = usual;
        settings.delay_ns = settings.delay_max_ns = 0;
        struct policy policy;
        policy_init(&policy, &settings);
        int64_t now_ns = THEN_NS;
        for (unsigned k = 0; k < settings.burst_starts - 1; k++)
            fail_once(&policy, &now_ns);
        run(&policy, now_ns);
        ck_assert_int_eq(policy_handle(&policy, NODE_EXITED_BADLY, now_ns), POLICY_GIVE_UP);

        ck_assert_int_eq(policy_handle(&policy, requests[i], now_ns), POLICY_AWAIT);
        run(&policy, now_ns);
        ck_assert_int_eq(policy_handle(&policy, NODE_EXITED_BADLY, now_ns), POLICY_NONE);
        ck_assert_int_eq(policy.state, NODE_BACKOFF);
        ck_assert_uint_eq(policy.failures, 1);
        ck_assert_uint_eq(policy.restarts, settings.burst_starts - 1);
    }
}
END_TEST

START_TEST(what_is_asked_last_counts_while_it_stops) {
    struct policy policy;
    policy_init(&policy, &usual);
    run(&policy, THEN_NS);
    policy_handle(&policy, NODE_STOP, THEN_NS);
    policy_handle(&policy, NODE_START, THEN_NS);
    ck_assert_int_eq(policy_handle(&policy, NODE_EXITED_WELL, THEN_NS), POLICY_AWAIT);

    run(&policy, THEN_NS);
    policy_handle(&policy, NODE_RESTART, THEN_NS);
    policy_handle(&policy, NODE_STOP, THEN_NS);
    ck_assert_int_eq(policy_handle(&policy, NODE_EXITED_WELL, THEN_NS), POLICY_NONE);
    ck_assert_int_eq(policy.state, NODE_STOPPED);

    run(&policy, THEN_NS);
    policy_handle(&policy, NODE_HANG, THEN_NS);
    policy_handle(&policy, NODE_TIME_OUT, INT64_MAX);
    policy_handle(&policy, NODE_STOP, THEN_NS);
    policy_handle(&policy, NODE_EXITED_BADLY, THEN_NS);
    ck_assert_int_eq(policy.state, NODE_STOPPED);
}
END_TEST

START_TEST(only_some_states_have_a_process) {
    static const bool has[NODE_STATES] = {[NODE_STARTING] = true,
                                          [NODE_RUNNING] = true,
                                          [NODE_STOPPING] = true,
                                          [NODE_KILLING] = true};
    for (enum node_state state = 0; state < NODE_STATES; state++) {
        struct policy policy;
        bring(&policy, state, POLICY_THEN_STOP);
        ck_assert_int_eq(policy_has_process(&policy), has[state]);
    }
}
END_TEST

START_TEST(an_end_that_was_asked_for_is_no_failure) {
    static const struct {
        int code;
        int status;
        int asked_signal;
        enum node_event event;
    } cases[] = {
        {CLD_EXITED, 0, 0, NODE_EXITED_WELL},
        {CLD_EXITED, 0, SIGTERM, NODE_EXITED_WELL},
        {CLD_EXITED, 1, 0, NODE_EXITED_BADLY},
        {CLD_EXITED, 1, SIGTERM, NODE_EXITED_BADLY},
        {CLD_KILLED, SIGTERM, SIGTERM, NODE_EXITED_WELL},
        {CLD_KILLED, SIGTERM, 0, NODE_EXITED_BADLY},
        {CLD_KILLED, SIGINT, SIGTERM, NODE_EXITED_BADLY},
        {CLD_KILLED, SIGKILL, SIGTERM, NODE_EXITED_BADLY},
        {CLD_DUMPED, SIGQUIT, SIGQUIT, NODE_EXITED_WELL},
        {CLD_DUMPED, SIGSEGV, SIGTERM, NODE_EXITED_BADLY},
        {CLD_EXITED, 128 + SIGTERM, SIGTERM, NODE_EXITED_WELL},
        {CLD_EXITED, 128 + SIGTERM, 0, NODE_EXITED_BADLY},
        {CLD_EXITED, 128 + SIGINT, SIGTERM, NODE_EXITED_BADLY},
        {CLD_EXITED, 128, 0, NODE_EXITED_BADLY},
        /* The kernel could not tell. */
        {0, 0, 0, NODE_EXITED_BADLY},
        {0, 0, SIGTERM, NODE_EXITED_BADLY},
    };
    for (size_t i = 0; i < SUITE_COUNT(cases); i++) {
        siginfo_t end = {.si_code = cases[i].code};
        end.si_status = cases[i].status;
        ck_assert_msg(policy_judge_exit(&end, cases[i].asked_signal) == cases[i].event, "case %zu",
                      i);
    }
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {every_event_in_every_state_leads_where_the_table_says},
        {an_end_is_followed_by_what_restart_says},
        {a_node_that_never_gets_ready_has_failed},
        {without_a_time_out_readiness_is_waited_for},
        {a_time_out_that_comes_early_changes_nothing},
        {the_delay_doubles_up_to_its_limit},
        {delays_at_the_edges_do_not_wrap},
        {a_good_run_makes_the_delay_short_again},
        {more_starts_than_the_limit_within_its_interval_are_given_up},
        {a_limit_as_large_as_there_is_counts_what_it_says},
        {without_a_limit_it_goes_on_for_ever},
        {a_request_forgets_failures_and_is_no_restart},
        {what_is_asked_last_counts_while_it_stops},
        {only_some_states_have_a_process},
        {an_end_that_was_asked_for_is_no_failure},
    };
    return suite_run("policy", tests, SUITE_COUNT(tests));
}
