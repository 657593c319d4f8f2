/* shmframe-delay: holds the frames of streams by a set time, and sends them on as others.
 *
 * Each frame is copied at once into a slot of the output, so that its source has the slot back, and
 * published there when it is due. The loop sleeps until a frame comes or one is due, whichever is
 * first; frames that are due while another one is copied are published in between.
 */
#include "consumer.h"
#include "delay_log.h"
#include "delay_report.h"
#include "lane.h"
#include "option.h"
#include "progress.h"
#include "sandbox.h"
#include "selection.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)
/* Requests are answered within that. */
#define LOOK_NS     (SECOND_NS / 20)
#define PROGRESS_NS (SECOND_NS / 2)
/* How long a frame waits for room before others are looked at. */
#define STUCK_NS (SECOND_NS / 100)

static struct {
    int64_t delay_ns, jitter_ns;
    int64_t picture_ns, sound_ns; /* -1: as delay_ns */
    const char *distribution;
    const char *drop, *repeat, *swap;
    bool is_reordering, is_sandboxed;
    uint32_t seed, held, wait_readers;
    int64_t spin_ns;
    const char *allow, *log, *format;
} settings = {
    .picture_ns = -1, .sound_ns = -1, .distribution = "uniform", .seed = 1, .format = "text"};

static const struct option_spec options[] = {
    {"delay", 'd', OPTION_DURATION, &settings.delay_ns, "TIME",
     "hold each frame so long: 20ms, 1.5s, 500us (0)"},
    {"picture-delay", 0, OPTION_DURATION, &settings.picture_ns, "TIME", "pictures; as --delay"},
    {"sound-delay", 0, OPTION_DURATION, &settings.sound_ns, "TIME", "sound; as --delay"},
    {"jitter", 'j', OPTION_DURATION, &settings.jitter_ns, "TIME", "vary that by so much (0)"},
    {"distribution", 0, OPTION_TEXT, &settings.distribution, "uniform|normal|exponential",
     "of the jitter: up to TIME either way; standard deviation TIME; only later, TIME on average"},
    {"sandbox", 0, OPTION_FLAG, &settings.is_sandboxed, NULL,
     "give up all system calls that the streams do not need, once they are open"},
    {"reorder", 0, OPTION_FLAG, &settings.is_reordering, NULL,
     "let jitter change the order of frames"},
    {"drop", 0, OPTION_TEXT, &settings.drop, "SHARE", "leave frames out: 1%, or every=100"},
    {"repeat", 0, OPTION_TEXT, &settings.repeat, "SHARE", "send frames twice; likewise"},
    {"swap", 0, OPTION_TEXT, &settings.swap, "SHARE",
     "send frames after their successors; likewise"},
    {"seed", 0, OPTION_COUNT, &settings.seed, "NUMBER",
     "of jitter and shares: the same one makes the same (1)"},
    {"held", 0, OPTION_POSITIVE_COUNT, &settings.held, "FRAMES",
     "have room for so many at once, 64 at most; default: what delay and rate take"},
    {"spin", 0, OPTION_DURATION, &settings.spin_ns, "TIME",
     "busy-wait for the last so long before a frame is due (0)"},
    {"wait-readers", 'w', OPTION_COUNT, &settings.wait_readers, "COUNT",
     "take no frame before OUT has so many readers: for sources that wait"},
    {"allow", 0, OPTION_TEXT, &settings.allow, "WHO",
     "which other users may read OUT: \"group video\", \"user anna\", several with commas between "
     "them, or \"all\" or \"none\" alone; default: as shmframed.conf says"},
    {"log", 0, OPTION_TEXT, &settings.log, "FILE", "write what became of each frame, as CSV"},
    {"format", 0, OPTION_TEXT, &settings.format, "text|json",
     "how to print the statistics at the end"},
    {0},
};

static const struct program program = {
    .name = "shmframe-delay",
    .purpose = "Sends the frames of a stream or group on as OUT, held by a set time.",
    .operands = "STREAM OUT",
    .notes = "Of a group, its picture becomes OUT, and its sound OUT.sound.\n"
             "Requests (shmframe ask OUT VERB): set delay TIME, pause, resume, quit, help.\n"
             "\n"
             "Example: shmframe run shmframe-pattern 'shmframe delay demo late --delay 100ms' \\\n"
             "             'shmframe-view late'",
    .options = options,
    .options2 = consumer_options,
};

static struct run {
    struct shmframe_session *session;
    struct sources sources;
    struct lane lane[SELECTION_MAX]; /* lane i is of source i */
    uint32_t lanes;
    int64_t start_ns, end_ns, progress_ns;
    const char *reason; /* why it ended; NULL: it goes on */
    bool is_quitting, is_paused;
    int64_t paused_ns; /* since when */
} run;

/* ---- settings ---- */

static enum schedule_distribution parse_distribution(void) {
    const char *name;
    for (unsigned i = 0; (name = schedule_distribution_name(i)); i++)
        if (strcmp(name, settings.distribution) == 0)
            return (enum schedule_distribution)i;
    program_fail_usage("--distribution: \"%s\" should be uniform, normal or exponential",
                       settings.distribution);
}

static struct chance parse_share(const char *option, const char *text) {
    struct chance chance = {0};
    const char *wanted = text ? chance_parse(text, &chance) : NULL;
    if (wanted)
        program_fail_usage("--%s: \"%s\" should be %s", option, text, wanted);
    return chance;
}

static struct schedule_params parse_schedule(void) {
    if (settings.held > HELD_MAX)
        program_fail_usage("--held: %u should be 1 to %d", settings.held, HELD_MAX);
    return (struct schedule_params){
        .delay_ns = settings.delay_ns,
        .jitter_ns = settings.jitter_ns,
        .distribution = parse_distribution(),
        .drop = parse_share("drop", settings.drop),
        .repeat = parse_share("repeat", settings.repeat),
        .swap = parse_share("swap", settings.swap),
        .is_reordering = settings.is_reordering,
        .seed = settings.seed,
    };
}

/* What stream `index` is called when it comes out: OUT alone; of a group, what begins with its name
 * goes on as it did, a picture is OUT, a sound OUT.sound, another one OUT.sound2. */
static void name_output(const struct selection *selection, uint32_t index, char *const *names,
                        char out_name[SHMFRAME_NAME_BYTES]) {
    const struct selected_stream *stream = &selection->stream[index];
    const size_t length = strlen(names[0]);
    char text[2 * SHMFRAME_NAME_BYTES + 16];
    if (selection->count == 1 || stream->kind == SHMFRAME_VIDEO)
        snprintf(text, sizeof(text), "%s", names[1]);
    else if (strncmp(stream->name, names[0], length) == 0 && stream->name[length] == '.')
        snprintf(text, sizeof(text), "%s%s", names[1], stream->name + length);
    else if (index < 2)
        snprintf(text, sizeof(text), "%s.sound", names[1]);
    else
        snprintf(text, sizeof(text), "%s.sound%u", names[1], index);
    if (!shmframe_name_is_valid(text))
        program_fail_usage("\"%s\" cannot name the stream that %s becomes: take a shorter OUT",
                           text, stream->name);
    memcpy(out_name, text, strlen(text) + 1);
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a_ns, int64_t b_ns) {
    return a_ns < b_ns ? a_ns : b_ns;
}

static int64_t find_due_ns(void) {
    int64_t due_ns = SHMFRAME_FOREVER;
    for (uint32_t i = 0; i < run.lanes; i++)
        due_ns = earlier(due_ns, lane_due_ns(&run.lane[i]));
    return due_ns;
}

static void publish_due(void *user) {
    (void)user;
    for (uint32_t i = 0; i < run.lanes; i++)
        lane_publish_due(&run.lane[i]);
}

/* Sleeps until `until_ns`, or until it is to end; serves the session meanwhile. */
static void sleep_until(int64_t until_ns) {
    const int64_t left_ns = until_ns - shmframe_now_ns();
    if (left_ns <= 0)
        return;
    struct pollfd descriptors[] = {
        {.fd = program_stop_fd(), .events = POLLIN},
        {.fd = shmframe_session_fd(run.session), .events = POLLIN},
    };
    const struct timespec timeout = {.tv_sec = left_ns / SECOND_NS, .tv_nsec = left_ns % SECOND_NS};
    ppoll(descriptors, 2, &timeout, NULL);
    if (descriptors[1].revents)
        shmframe_session_dispatch(run.session);
}

/* Busy until the instant, which is near. */
static void spin_until(int64_t until_ns) {
    while (shmframe_now_ns() < until_ns)
        ;
}

/* Bit i: lane i. */
static uint64_t find_stuck(void) {
    uint64_t stuck = 0;
    for (uint32_t i = 0; i < run.lanes; i++)
        stuck |= (uint64_t)run.lane[i].is_stuck << i;
    return stuck;
}

static bool is_any_stuck(void) {
    return find_stuck() != 0;
}

static uint64_t count_taken(void) {
    return run.lane[0].taken;
}

/* A frame of each source that has one: what is due meanwhile is not to wait for all of them. */
static void take(uint64_t ready, int64_t deadline_ns) {
    for (uint32_t i = 0; i < run.lanes; i++)
        if (ready & UINT64_C(1) << i && !consumer_has_enough(count_taken()))
            lane_take(&run.lane[i], deadline_ns);
}

/* As spin_until(); what comes meanwhile is taken: the next one may be due before there is a rest.
 */
static void take_until(int64_t until_ns) {
    const uint64_t all = (UINT64_C(1) << run.lanes) - 1;
    while (shmframe_now_ns() < until_ns)
        take(all & ~find_stuck(), SHMFRAME_NOW);
}

/* A frame that waits for room must not keep the others: its reader may wait for them. */
static void take_stuck(int64_t deadline_ns) {
    const int64_t slice_ns = earlier(deadline_ns, shmframe_deadline_ns(STUCK_NS));
    const uint64_t stuck = find_stuck();
    take(~stuck, SHMFRAME_NOW);
    take(stuck, slice_ns);
    if (is_any_stuck())
        sleep_until(slice_ns);
    if (program_is_stopping())
        run.reason = "signal";
}

static const char *name_end(void) {
    return sources_have_failed(&run.sources) ? "failure" : "end of stream";
}

static void await(int64_t deadline_ns) {
    uint64_t ready;
    switch (sources_wait(&run.sources, deadline_ns, &ready)) {
    case SOURCES_READY:
        take(ready, SHMFRAME_NOW);
        break;
    case SOURCES_ASKED:
    case SOURCES_DUE:
        break;
    case SOURCES_OVER:
        run.reason = name_end();
        break;
    case SOURCES_LATE:
        run.reason = "deadline";
        break;
    case SOURCES_STOP:
        run.reason = "signal";
        break;
    }
}

/* A source that can wait does; of the others what comes is left out. */
static void rest(int64_t until_ns) {
    sleep_until(earlier(until_ns, shmframe_deadline_ns(STUCK_NS)));
    for (uint32_t i = 0; i < run.lanes; i++)
        while (run.lane[i].is_live && lane_take(&run.lane[i], SHMFRAME_NOW))
            ;
    if (program_is_stopping())
        run.reason = "signal";
}

static void show_progress(int64_t now_ns) {
    if (!progress_is_shown() || now_ns - run.progress_ns < PROGRESS_NS)
        return;
    run.progress_ns = now_ns;
    const struct lane *lane = &run.lane[0];
    progress_update("%s -> %s: %" PRIu64 " frames in %.1f s, %u held, %" PRIu64 " dropped",
                    lane->source->stream, lane->name, lane->published,
                    (double)(now_ns - run.start_ns) / SECOND_NS, lane->held.count,
                    lane->dropped + lane->refused);
}

/* ---- requests ---- */

static int run_quit(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    (void)user;
    (void)argument;
    run.is_quitting = true;
    strcpy(answer, "ending");
    return 0;
}

/* "delay 20ms" */
static int run_set(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    (void)user;
    static const char name[] = "delay ";
    int64_t delay_ns;
    const struct option_spec spec = {"delay", 0, OPTION_DURATION, &delay_ns, NULL, NULL};
    if (strncmp(argument, name, strlen(name)) != 0) {
        strcpy(answer, "there is one control: set delay TIME");
        return -EINVAL;
    }
    const char *wanted = option_store(&spec, argument + strlen(name));
    if (wanted) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "delay should be %s", wanted);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < run.lanes; i++)
        if (!lane_has_room(&run.lane[i], delay_ns)) {
            snprintf(answer, SHMFRAME_ARGUMENT_BYTES,
                     "%s has room for %u frames at once: start with a longer delay, or --held",
                     run.lane[i].name, run.lane[i].loans);
            return -ENOSPC;
        }
    for (uint32_t i = 0; i < run.lanes; i++)
        lane_set_delay(&run.lane[i], delay_ns);
    return 0;
}

static int run_pause(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    (void)user;
    (void)argument;
    for (uint32_t i = 0; i < run.lanes && !run.is_paused; i++)
        lane_pause(&run.lane[i]);
    if (!run.is_paused)
        run.paused_ns = shmframe_now_ns();
    run.is_paused = true;
    strcpy(answer, "paused");
    return 0;
}

static int run_resume(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    (void)user;
    (void)argument;
    const int64_t paused_ns = shmframe_now_ns() - run.paused_ns;
    for (uint32_t i = 0; i < run.lanes && run.is_paused; i++)
        lane_resume(&run.lane[i], paused_ns);
    run.is_paused = false;
    strcpy(answer, "running");
    return 0;
}

static const struct verb verbs[] = {
    {"quit", run_quit}, {"set", run_set}, {"pause", run_pause}, {"resume", run_resume}, {0}};

static void serve(void) {
    const struct verb_table table = {.verbs = verbs};
    for (uint32_t i = 0; i < run.lanes; i++) {
        struct shmframe_writer *writer = run.lane[i].writer;
        struct shmframe_writer_event event;
        while (shmframe_writer_next_event(writer, &event) == 0)
            if (event.type == SHMFRAME_REQUEST)
                verb_serve(writer, &event, &table, 1);
    }
    /* After the answer: stopping interrupts the session. */
    if (run.is_quitting)
        program_stop();
}

/* ---- life ---- */

static void hold_frames(void) {
    while (!run.reason) {
        if (!run.is_paused)
            publish_due(NULL);
        serve();
        const int64_t now_ns = shmframe_now_ns();
        show_progress(now_ns);
        const int64_t due_ns = find_due_ns();
        const int64_t rest_ns = due_ns - settings.spin_ns; /* when rest is over */
        const int64_t until_ns = earlier(earlier(rest_ns, run.end_ns), now_ns + LOOK_NS);
        if (run.is_paused)
            rest(earlier(run.end_ns, now_ns + LOOK_NS));
        else if (rest_ns <= now_ns && due_ns != SHMFRAME_FOREVER)
            take_until(due_ns);
        else if (is_any_stuck())
            take_stuck(until_ns);
        else
            await(until_ns);
        if (!run.reason && consumer_has_enough(count_taken()) && !is_any_stuck())
            run.reason = "frames";
        else if (!run.reason && shmframe_now_ns() >= run.end_ns)
            run.reason = "duration";
        else if (!run.reason && sources_miss_frames(&run.sources))
            run.reason = name_end();
    }
}

/* What is held is sent on when it is due, unless it is to end at once. */
static void deliver_rest(void) {
    for (uint32_t i = 0; i < run.lanes; i++)
        lane_settle(&run.lane[i]);
    int64_t due_ns;
    while (!program_is_stopping() && (due_ns = find_due_ns()) != SHMFRAME_FOREVER) {
        sleep_until(earlier(due_ns - settings.spin_ns, shmframe_deadline_ns(LOOK_NS)));
        if (due_ns - settings.spin_ns <= shmframe_now_ns())
            spin_until(due_ns);
        publish_due(NULL);
        serve();
    }
    for (uint32_t i = 0; i < run.lanes; i++)
        lane_abandon(&run.lane[i]);
}

/* For --wait-readers. */
static void await_readers(void) {
    int result;
    do {
        serve();
        result = shmframe_writer_wait_readers(run.lane[0].writer, settings.wait_readers,
                                              shmframe_deadline_ns(LOOK_NS));
    } while (result == -ETIMEDOUT && !program_is_stopping());
    if (program_is_stopping())
        run.reason = "signal";
}

static bool open_lanes(char *const *names, const struct schedule_params *schedule) {
    struct lane_params params = {
        .group = names[1],
        .allow = settings.allow,
        .held_max = settings.held,
        .schedule = *schedule,
        .pause = {.run = publish_due},
    };
    struct selection selection;
    if (!selection_find_any(run.session, names, 1, &selection))
        return false;
    for (uint32_t i = 0; i < selection.count; i++) {
        struct shmframe_reader_params reader = consumer_reader_params(selection.stream[i].name);
        if (!reader.depth && !(consumer_settings.policy && reader.policy == SHMFRAME_LATEST))
            reader.depth = LANE_INPUT_DEPTH;
        struct source *source = sources_add(&run.sources, &reader);
        char name[SHMFRAME_NAME_BYTES];
        name_output(&selection, i, names, name);
        const bool is_picture = selection.stream[i].kind == SHMFRAME_VIDEO;
        const int64_t own_ns = is_picture ? settings.picture_ns : settings.sound_ns;
        const bool has_own = selection.stream[i].kind != SHMFRAME_DATA && own_ns >= 0;
        params.schedule.delay_ns = has_own ? own_ns : settings.delay_ns;
        params.schedule.seed = (uint64_t)settings.seed + ((uint64_t)i << 32);
        if (!source || !lane_open(&run.lane[i], run.session, source, name, &params))
            return false;
        run.lanes++;
    }
    return true;
}

/* Ends the streams, so that readers hear of it, and says how it was. */
static int finish(enum report_format format) {
    const double seconds = (double)(shmframe_now_ns() - run.start_ns) / SECOND_NS;
    /* What interrupted the loop is not to interrupt its end. */
    shmframe_session_resume(run.session);
    for (uint32_t i = 0; i < run.lanes; i++)
        lane_close(&run.lane[i]);
    const bool is_logged = delay_log_close();
    delay_report_print(run.lane, run.lanes, seconds, run.reason, format);
    const bool has_failed =
        strcmp(run.reason, "deadline") == 0 || strcmp(run.reason, "failure") == 0;
    return has_failed || !is_logged ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv) {
    consumer_settings.policy = NULL;
    const int operand = program_start(&program, argc, argv);
    if (argc - operand != 2)
        program_fail_usage(
            "two names are needed: STREAM, which is there, and OUT, which comes to be");
    const enum report_format format = report_format_parse(settings.format);
    char *const *names = argv + operand;
    consumer_reader_params(names[0]); /* whose checks end the program */
    consumer_reader_params(names[1]);
    if (strcmp(names[0], names[1]) == 0)
        program_fail_usage("OUT cannot be STREAM itself: \"%s\"", names[1]);
    const struct schedule_params schedule = parse_schedule();
    if (settings.log)
        delay_log_open(settings.log);

    run.session = program_open_session();
    program_stop_on_signals(run.session);
    /* The kernel may make sleeps longer by 50 us to save wake-ups; here each one is a frame's. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    run.sources.session = run.session;
    int exit_code = EXIT_DONE;
    if (open_lanes(names, &schedule)) {
        if (settings.is_sandboxed)
            sandbox_enter_or_end();
        await_readers();
        run.start_ns = shmframe_now_ns();
        run.end_ns = consumer_end_ns();
        hold_frames();
        deliver_rest();
        exit_code = finish(format);
    }
    sources_close(&run.sources);
    program_close_session(run.session);
    return exit_code;
}
