/* Memory that is short for one role: it hears so, in one line, and nobody else notices. What a
 * writer and a session are refused is in ../api/limits.c.
 */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void set_limit(int resource, rlim_t value) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(resource, &limit), 0);
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    ck_assert_int_eq(setrlimit(resource, &limit), 0);
}

static rlim_t address_space(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Too few are left for its record. */
START_TEST(a_reader_without_addresses_is_refused_and_the_stream_goes_on) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *other = world_open_reader("s", SHMFRAME_LOSSLESS), *reader = NULL;
    const struct shmframe_reader_params params = {.stream = "s", .deadline_ns = world_deadline()};
    set_limit(RLIMIT_AS, address_space() + (UINT64_C(1) << 16));
    const int code = shmframe_reader_open(world.session, &params, &reader);
    set_limit(RLIMIT_AS, RLIM_INFINITY);
    expect_error(code, -ENOMEM, "ulimit -v");
    ck_assert(shmframe_session_is_connected(world.session));
    for (uint64_t i = 1; i <= 20; i++) {
        world_publish(writer, i);
        ck_assert_uint_eq(world_take(other, i), i);
    }
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    shmframe_reader_close(reader);
    shmframe_reader_close(other);
    shmframe_writer_close(writer);
}
END_TEST

/* Nothing is locked into memory, so that this limit is nobody's concern. */
START_TEST(a_limit_of_locked_memory_changes_nothing) {
    set_limit(RLIMIT_MEMLOCK, 0);
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    for (uint64_t i = 1; i <= 20; i++) {
        world_publish(writer, i);
        ck_assert_uint_eq(world_take(reader, i), i);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

static void try_to_read(void) {
    struct shmframe_session *session = NULL;
    const struct shmframe_session_params params = {.socket = world.socket};
    const int code = shmframe_session_open(&params, &session);
    expect_error(code, -ENOMEM, "ulimit -f");
}

/* What memory-backed files need is a size: with none allowed, the supervisor makes no notice page.
 */
START_TEST(a_supervisor_that_may_make_no_page_refuses_who_comes_and_serves_who_is_there) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LOSSLESS);
    struct rlimit former;
    ck_assert_int_eq(prlimit(world.supervisor, RLIMIT_FSIZE, NULL, &former), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = former.rlim_max};
    ck_assert_int_eq(prlimit(world.supervisor, RLIMIT_FSIZE, &none, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        world_join(world_fork(try_to_read));
    for (uint64_t i = 1; i <= 20; i++) {
        world_publish(writer, i);
        ck_assert_uint_eq(world_take(reader, i), i);
    }
    struct shmframe_stream_info info[1];
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 1), 1);
    ck_assert_int_eq(prlimit(world.supervisor, RLIMIT_FSIZE, &former, NULL), 0);
    shmframe_session_close(world_open_session());
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, a_reader_without_addresses_is_refused_and_the_stream_goes_on);
    tcase_add_test(tests, a_limit_of_locked_memory_changes_nothing);
    tcase_add_test(tests,
                   a_supervisor_that_may_make_no_page_refuses_who_comes_and_serves_who_is_there);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
