/* Who lost it, as the programs tell it: what a producer says at its end that it dropped is what the
 * supervisor has noted of it, and nobody is late where nothing was due. */
#include "../api/world.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS_MAX = 1024, PAUSE_MS = 300, LOOK_AGAIN_MS = 5 };

static char said[128], fifo[128];

static void begin(void) {
    world_begin();
    snprintf(said, sizeof(said), "%s/said", world.folder);
    snprintf(fifo, sizeof(fifo), "%s/fifo", world.folder);
}

static void end(void) {
    unlink(said);
    world_end();
}

static pid_t start(const char *variable, const char *const *arguments) {
    char *argv[24] = {getenv(variable)};
    for (unsigned i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    ck_assert_ptr_nonnull(argv[0]);
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        setenv("SHMFRAME_SOCKET", world.socket, 1);
        if (!freopen(said, "w", stdout) || !freopen(fifo, "r", stdin) || getppid() != parent)
            _exit(126);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

#define START(variable, ...) start(variable, (const char *const[]){__VA_ARGS__, NULL})

static pid_t start_pattern(const char *option) {
    strcpy(fifo, "/dev/null");
    return START("SHMFRAME_PATTERN", "--stream", "faults", "--size", "64x64", "--rate", "100",
                 "--no-sound", "--format", "json", option);
}

static struct shmframe_stream_info stream_info(void) {
    struct shmframe_stream_info info = {0};
    shmframe_session_streams(world.session, world_deadline(), &info, 1);
    return info;
}

static void await_published(uint64_t frames) {
    const int64_t deadline_ns = world_deadline();
    while (stream_info().published < frames) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "there are no %d frames", (int)frames);
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
}

static void ask(const char *verb) {
    struct shmframe_answer answer;
    ck_assert_int_eq(
        shmframe_session_request(world.session, "faults", verb, NULL, world_deadline(), &answer),
        0);
}

static void quit(pid_t pid) {
    ask("quit");
    world_join(pid);
}

/* What the program said at its end. */
static uint64_t told(const char *name) {
    json_error_t error;
    json_t *all = json_load_file(said, 0, &error);
    ck_assert_msg(all != NULL, "%s", error.text);
    const json_t *streams = json_object_get(all, "streams");
    const json_t *stream = json_array_get(streams, 0);
    const json_t *value = json_object_get(stream, name);
    ck_assert_msg(json_is_integer(value), "it does not say %s", name);
    const uint64_t result = (uint64_t)json_integer_value(value);
    json_decref(all);
    return result;
}

/* Frames that the supervisor has noted as lost by this cause; the stream has ended. */
static uint64_t noted(enum shmframe_cause cause) {
    static struct shmframe_event event[EVENTS_MAX];
    const int64_t deadline_ns = world_deadline();
    for (;;) {
        const int count =
            shmframe_session_events(world.session, 0, SHMFRAME_NOW, event, EVENTS_MAX);
        uint64_t frames = 0;
        bool is_ended = false;
        for (int i = 0; i < count; i++) {
            is_ended |= event[i].type == SHMFRAME_JOURNAL_STREAM_ENDED;
            if (event[i].type == SHMFRAME_JOURNAL_LOSS && event[i].cause == (uint32_t)cause)
                frames += event[i].count;
            ck_assert_uint_ne(event[i].type, SHMFRAME_JOURNAL_STALL);
        }
        if (is_ended)
            return frames;
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
}

START_TEST(a_frozen_pattern_is_late_by_what_it_says_it_dropped) {
    const pid_t pid = start_pattern(NULL);
    await_published(10);
    kill(pid, SIGSTOP);
    poll(NULL, 0, PAUSE_MS);
    kill(pid, SIGCONT);
    await_published(stream_info().published + 10);
    quit(pid);
    ck_assert_uint_ge(told("dropped"), PAUSE_MS / 10 - 2);
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_WRITER_LATE), told("dropped"));
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_DEVICE), 0);
}
END_TEST

/* Longer than the stall that would be told of one that is not paused. */
START_TEST(a_paused_pattern_is_neither_late_nor_stalled) {
    const pid_t pid = start_pattern(NULL);
    await_published(10);
    ask("pause");
    ck_assert_int_eq(stream_info().period_ns, 0);
    poll(NULL, 0, 5 * PAUSE_MS);
    const uint64_t before = stream_info().published;
    ask("resume");
    await_published(before + 10);
    ck_assert_int_eq(stream_info().period_ns, 10000000);
    quit(pid);
    /* On a busy machine it may have been late at another time: as it says. */
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_WRITER_LATE), told("dropped"));
    ck_assert_uint_lt(told("dropped"), 5 * PAUSE_MS / 10);
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_DEVICE), 0);
}
END_TEST

START_TEST(an_unpaced_pattern_is_never_late) {
    const pid_t pid = start_pattern("--unpaced");
    await_published(10);
    kill(pid, SIGSTOP);
    poll(NULL, 0, PAUSE_MS);
    kill(pid, SIGCONT);
    await_published(stream_info().published + 10);
    quit(pid);
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_WRITER_LATE), 0);
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_DEVICE), 0);
}
END_TEST

/* Pictures come through a pipe when they come; those that came while it was paused are counted as
 * dropped, and were nobody's fault. */
START_TEST(what_comes_slowly_or_while_paused_is_not_late) {
    enum { BYTES = 16 * 16 };
    static const uint8_t picture[3 * BYTES];
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    snprintf(fifo, sizeof(fifo), "/proc/%d/fd/%d", (int)getpid(), pipes[0]);
    const pid_t pid = START("SHMFRAME_PIPE_IN", "--as", "raw", "--pixel-format", "gray", "--size",
                            "16x16", "--rate", "100", "--stream", "faults", "--format", "json");
    ck_assert_int_eq(write(pipes[1], picture, BYTES), BYTES);
    await_published(1);
    poll(NULL, 0, PAUSE_MS);
    ck_assert_int_eq(write(pipes[1], picture, BYTES), BYTES);
    await_published(2);
    ask("pause");
    ck_assert_int_eq(write(pipes[1], picture, sizeof(picture)), sizeof(picture));
    poll(NULL, 0, PAUSE_MS);
    ask("resume");
    ck_assert_int_eq(write(pipes[1], picture, BYTES), BYTES);
    await_published(3);
    quit(pid);
    close(pipes[0]);
    close(pipes[1]);
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_WRITER_LATE), 0);
    ck_assert_uint_eq(noted(SHMFRAME_CAUSE_DEVICE), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("producers");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_frozen_pattern_is_late_by_what_it_says_it_dropped);
    tcase_add_test(tests, a_paused_pattern_is_neither_late_nor_stalled);
    tcase_add_test(tests, an_unpaced_pattern_is_never_late);
    tcase_add_test(tests, what_comes_slowly_or_while_paused_is_not_late);
    Suite *suite = suite_create("attribution: producers");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
