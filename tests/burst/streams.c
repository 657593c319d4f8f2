/* What shmframe-pattern --marks sounds like to a reader: the program, a supervisor, a finder. */
#include "burst_finder.h"
#include "world.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
/* A sample of 44.1 kHz takes 22676 ns. */
static const int64_t sample_ns = 22676;

static pid_t start_pattern(const char *const *arguments) {
    char *argv[24] = {"shmframe-pattern"};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("SHMFRAME_SOCKET", world.socket, 1);
        execv(getenv("PATTERN"), argv);
        _exit(127);
    }
    return pid;
}

#define PATTERN(...) start_pattern((const char *const[]){__VA_ARGS__, NULL})

static struct shmframe_reader *open_reader(const char *stream, enum shmframe_policy policy) {
    const struct shmframe_reader_params params = {
        .stream = stream,
        .policy = policy,
        .depth = policy == SHMFRAME_IN_ORDER ? 64 : 4,
        .deadline_ns = world_deadline(),
    };
    struct shmframe_reader *reader;
    ck_assert_msg(shmframe_reader_open(world.session, &params, &reader) == 0, "%s",
                  shmframe_last_error());
    return reader;
}

/* Listens until the stream ends; returns how many bursts were found. */
static uint32_t listen_to_end(struct shmframe_reader *reader, struct burst_sound *out_sounds,
                              uint32_t room) {
    struct burst_finder *finder = NULL;
    struct shmframe_lease lease;
    uint32_t found = 0;
    int result;
    while ((result = shmframe_reader_acquire(reader, world_deadline(), &lease)) == 0) {
        if (!finder)
            ck_assert_int_eq(burst_finder_create(lease.format, &finder), 0);
        burst_finder_add(finder, &lease);
        shmframe_reader_release(reader, &lease);
        while (found < room && burst_finder_next(finder, &out_sounds[found]))
            found++;
    }
    ck_assert_int_eq(result, -ENODATA);
    burst_finder_destroy(finder);
    return found;
}

static void expect_done(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* Flashes at 7/2 pictures a second cannot begin with the second; bursts do. */
START_TEST(a_burst_begins_at_the_instant_of_its_beat) {
    const pid_t pid = PATTERN("--marks", "--size", "160x120", "--rate", "7/2", "--duration", "1.6s",
                              "--wait-readers", "1", "--sample-rate", "44100", "--channels", "6",
                              "--sample-format", "s16p", "--format", "json");
    struct shmframe_reader *pictures = open_reader("demo", SHMFRAME_IN_ORDER);
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_IN_ORDER);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(pictures, world_deadline(), &lease), 0);
    const int64_t origin_ns = lease.frame.capture_ns - lease.frame.pts * 2 * SECOND_NS / 7;
    shmframe_reader_release(pictures, &lease);
    struct burst_sound sounds[4];
    /* A machine that is busy may drop sound, and a burst with it. */
    const uint32_t found = listen_to_end(sound, sounds, 4);
    ck_assert_uint_ge(found, 1);
    ck_assert_uint_le(found, 2);
    for (uint32_t i = 0; i < found; i++) {
        const int64_t beat_ns = sounds[i].beat * SECOND_NS;
        ck_assert_int_le(llabs(sounds[i].start_ns - origin_ns - beat_ns), sample_ns);
        ck_assert_int_le(llabs(sounds[i].media_ns - beat_ns), sample_ns);
    }
    shmframe_reader_close(pictures);
    shmframe_reader_close(sound);
    expect_done(pid);
}
END_TEST

START_TEST(bursts_of_sound_without_a_clock_have_media_time) {
    const pid_t pid =
        PATTERN("--marks", "--size", "160x120", "--rate", "5", "--unpaced", "--duration", "34.5s",
                "--wait-readers", "1", "--block", "1024", "--format", "json");
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_LOSSLESS);
    struct burst_sound sounds[64];
    ck_assert_uint_eq(listen_to_end(sound, sounds, 64), 35);
    for (int beat = 0; beat < 35; beat++) {
        ck_assert_uint_eq(sounds[beat].beat, beat % 16);
        ck_assert_int_le(llabs(sounds[beat].media_ns - beat * SECOND_NS), sample_ns);
    }
    shmframe_reader_close(sound);
    expect_done(pid);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("streams");
    TCase *tests = tcase_create("streams");
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_burst_begins_at_the_instant_of_its_beat);
    tcase_add_test(tests, bursts_of_sound_without_a_clock_have_media_time);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
