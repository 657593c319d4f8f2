/* Sources, selection and control: what all consumers do alike, at a supervisor of the test's own.
 */
#include "sources.h"

#include "consumer.h"
#include "progress.h"
#include "selection.h"
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sources sources;

static void begin(void) {
    world_begin();
    consumer_settings = (struct consumer_settings){.wait_ns = WORLD_NS};
    sources = (struct sources){.session = world.session};
}

static struct shmframe_writer *open_writer(const char *stream, uint32_t flags) {
    struct shmframe_writer_params params = world_writer_params(stream);
    struct shmframe_writer *writer;
    params.flags = flags;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

static struct source *add(const char *stream) {
    const struct shmframe_reader_params params = {.stream = stream, .depth = 4};
    struct source *source = sources_add(&sources, &params);
    ck_assert_ptr_nonnull(source);
    return source;
}

static void take(struct source *source, uint64_t value) {
    struct shmframe_lease lease;
    ck_assert(source_take(source, &lease));
    ck_assert_uint_eq(world_value(&lease), value);
    ck_assert_int_eq(shmframe_reader_release(source->reader, &lease), 0);
}

START_TEST(what_has_a_frame_is_ready) {
    struct shmframe_writer *a = open_writer("a", 0), *b = open_writer("b", 0);
    add("a");
    add("b");
    uint64_t ready;
    ck_assert_int_eq(sources_wait(&sources, SHMFRAME_NOW, &ready), SOURCES_DUE);
    ck_assert_uint_eq(ready, 0);
    world_publish(b, 7);
    ck_assert_int_eq(sources_wait(&sources, world_deadline(), &ready), SOURCES_READY);
    ck_assert_uint_eq(ready, 2);
    take(&sources.source[1], 7);
    world_publish(a, 8);
    world_publish(b, 9);
    ck_assert_int_eq(sources_wait(&sources, world_deadline(), &ready), SOURCES_READY);
    ck_assert_uint_eq(ready, 3);
    take(&sources.source[0], 8);
    take(&sources.source[1], 9);
    sources_close(&sources);
    shmframe_writer_close(a);
    shmframe_writer_close(b);
}
END_TEST

/* Takes what there is until nothing can come any more; returns how many frames. */
static unsigned drain(void) {
    unsigned frames = 0;
    uint64_t ready;
    enum sources_wait result;
    while ((result = sources_wait(&sources, world_deadline(), &ready)) == SOURCES_READY) {
        for (uint32_t i = 0; i < sources.count; i++) {
            struct shmframe_lease lease;
            while (ready & UINT64_C(1) << i && source_take(&sources.source[i], &lease)) {
                shmframe_reader_release(sources.source[i].reader, &lease);
                frames++;
            }
        }
    }
    ck_assert_int_eq(result, SOURCES_OVER);
    return frames;
}

START_TEST(it_is_over_when_every_stream_has_ended) {
    struct shmframe_writer *a = open_writer("a", 0), *b = open_writer("b", 0);
    add("a");
    add("b");
    world_publish(a, 1);
    world_publish(b, 2);
    world_publish(b, 3);
    shmframe_writer_close(a);
    shmframe_writer_close(b);
    ck_assert_uint_eq(drain(), 3);
    ck_assert(!sources_have_failed(&sources));
    sources_close(&sources);
}
END_TEST

START_TEST(an_eviction_ends_it_as_a_failure) {
    struct shmframe_writer *a = open_writer("a", 0);
    add("a");
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "a", world_deadline(), &info, 1), 1);
    ck_assert_int_eq(shmframe_session_evict(world.session, "a", info.number, world_deadline()), 0);
    ck_assert_uint_eq(drain(), 0);
    ck_assert(sources_have_failed(&sources));
    sources_close(&sources);
    shmframe_writer_close(a);
}
END_TEST

START_TEST(a_stream_that_stands_still_is_late) {
    consumer_settings.deadline_ns = INT64_C(30000000);
    struct shmframe_writer *a = open_writer("a", 0);
    add("a");
    const int64_t before_ns = shmframe_now_ns();
    uint64_t ready;
    ck_assert_int_eq(sources_wait(&sources, SHMFRAME_FOREVER, &ready), SOURCES_LATE);
    ck_assert_int_ge(shmframe_now_ns() - before_ns, consumer_settings.deadline_ns / 2);
    sources_close(&sources);
    shmframe_writer_close(a);
}
END_TEST

START_TEST(work_on_a_frame_is_no_lateness_of_the_next) {
    consumer_settings.deadline_ns = INT64_C(30000000);
    struct shmframe_writer *a = open_writer("a", 0);
    add("a");
    uint64_t ready;
    world_publish(a, 1);
    ck_assert_int_eq(sources_wait(&sources, world_deadline(), &ready), SOURCES_READY);
    take(&sources.source[0], 1);
    const int64_t worked_ns = shmframe_deadline_ns(2 * consumer_settings.deadline_ns);
    while (shmframe_now_ns() < worked_ns)
        ;
    ck_assert_int_eq(sources_wait(&sources, SHMFRAME_NOW, &ready), SOURCES_DUE);
    /* Likewise what was not waited for. */
    sources.paused = 1;
    ck_assert_int_eq(sources_wait(&sources, shmframe_deadline_ns(60000000), &ready), SOURCES_OVER);
    sources.paused = 0;
    ck_assert_int_eq(sources_wait(&sources, SHMFRAME_FOREVER, &ready), SOURCES_LATE);
    sources_close(&sources);
    shmframe_writer_close(a);
}
END_TEST

START_TEST(a_paused_source_is_not_waited_for_and_keeps_its_frames) {
    struct shmframe_writer *a = open_writer("a", 0), *b = open_writer("b", 0);
    add("a");
    add("b");
    world_publish(a, 1);
    sources.paused = 1;
    uint64_t ready;
    ck_assert_int_eq(sources_wait(&sources, SHMFRAME_NOW, &ready), SOURCES_DUE);
    world_publish(b, 2);
    ck_assert_int_eq(sources_wait(&sources, world_deadline(), &ready), SOURCES_READY);
    ck_assert_uint_eq(ready, 2);
    sources.paused = 0;
    take(&sources.source[1], 2);
    ck_assert_int_eq(sources_wait(&sources, world_deadline(), &ready), SOURCES_READY);
    ck_assert_uint_eq(ready, 1);
    take(&sources.source[0], 1);
    sources_close(&sources);
    shmframe_writer_close(a);
    shmframe_writer_close(b);
}
END_TEST

static void write_until_killed(void) {
    world.session = world_open_session();
    open_writer("a", 0);
    world_tell();
    pause();
}

START_TEST(a_writer_that_dies_is_told_while_waiting) {
    char *text;
    size_t bytes;
    FILE *said = open_memstream(&text, &bytes);
    progress_set_file(said);
    const pid_t writer = world_fork(write_until_killed);
    world_await();
    add("a");
    world_kill(writer);
    const int64_t deadline_ns = world_deadline();
    do {
        uint64_t ready;
        ck_assert_int_eq(sources_wait(&sources, shmframe_deadline_ns(1000000), &ready),
                         SOURCES_DUE);
        fflush(said);
    } while (!strstr(text, "its writer is gone") && shmframe_now_ns() < deadline_ns);
    ck_assert_ptr_nonnull(strstr(text, "a: its writer is gone"));
    progress_set_file(NULL);
    fclose(said);
    free(text);
    sources_close(&sources);
}
END_TEST

START_TEST(without_a_policy_files_are_lossless_and_live_streams_in_order) {
    struct shmframe_writer *file = open_writer("file", 0);
    struct shmframe_writer *live = open_writer("live", SHMFRAME_WRITER_LIVE);
    ck_assert_int_eq(add("file")->params.policy, SHMFRAME_LOSSLESS);
    ck_assert_int_eq(add("live")->params.policy, SHMFRAME_IN_ORDER);
    sources_close(&sources);
    consumer_settings.policy = "in-order";
    sources.count = 0;
    struct shmframe_reader_params params = consumer_reader_params("file");
    ck_assert_int_eq(sources_add(&sources, &params)->params.policy, SHMFRAME_IN_ORDER);
    sources_close(&sources);
    shmframe_writer_close(file);
    shmframe_writer_close(live);
}
END_TEST

/* Control */

static unsigned saves;

static int run_save(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    ck_assert_ptr_eq(user, &saves);
    ck_assert_str_eq(argument, "now");
    saves++;
    strcpy(answer, "saved");
    return 0;
}
static const struct verb verbs[] = {{"save", run_save}, {0}};

static struct shmframe_answer answers[2];

static void *ask(void *user) {
    (void)user;
    struct shmframe_session *session = world_open_session();
    const int64_t deadline_ns = world_deadline();
    shmframe_session_request(session, "rec", "help", NULL, deadline_ns, &answers[0]);
    shmframe_session_request(session, "rec", "save", "now", deadline_ns, &answers[1]);
    shmframe_session_close(session);
    return NULL;
}

START_TEST(requests_are_served_while_waiting) {
    struct shmframe_writer *a = open_writer("a", 0);
    add("a");
    sources.control = control_open(world.session, "rec", verbs, &saves);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, ask, NULL), 0);
    uint64_t ready;
    ck_assert_int_eq(sources_wait(&sources, world_deadline(), &ready), SOURCES_ASKED);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(saves, 1);
    ck_assert_int_eq(answers[0].status, 0);
    ck_assert_str_eq(answers[0].text, "verbs: help, quit, save");
    ck_assert_str_eq(answers[1].text, "saved");
    sources_close(&sources);
    control_close(sources.control);
    shmframe_writer_close(a);
}
END_TEST

START_TEST(what_is_told_can_be_read_as_json) {
    struct control *control = control_open(world.session, "rec", NULL, NULL);
    struct shmframe_reader *reader = world_open_reader("rec", SHMFRAME_IN_ORDER);
    control_tell(control, json_pack("{s:i}", "frames", 12));
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_str_eq(lease.format->data.type, "application/json");
    json_t *object = json_loadb((const char *)lease.data, lease.frame.bytes, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "frames")), 12);
    json_decref(object);
    shmframe_reader_release(reader, &lease);
    char *long_text = malloc(CONTROL_BYTES_MAX + 1);
    memset(long_text, 'x', CONTROL_BYTES_MAX);
    long_text[CONTROL_BYTES_MAX] = 0;
    control_tell(control, json_pack("{s:s}", "text", long_text)); /* is left out */
    free(long_text);
    control_tell(control, json_pack("{s:i}", "frames", 13));
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    object = json_loadb((const char *)lease.data, lease.frame.bytes, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "frames")), 13);
    json_decref(object);
    shmframe_reader_release(reader, &lease);
    shmframe_reader_close(reader);
    control_close(control);
}
END_TEST

/* Selection */

static struct shmframe_writer *open_media(const char *stream, const char *group, bool is_sound) {
    struct shmframe_writer_params params = {.stream = stream, .group = group};
    if (is_sound)
        ck_assert_int_eq(shmframe_format_audio(&params.format, "flt", 2, 48000, 480), 0);
    else
        ck_assert_int_eq(shmframe_format_video(&params.format, "gray", 16, 16), 0);
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

static struct selection find(const char *first, const char *second) {
    char names[2][SHMFRAME_NAME_BYTES];
    snprintf(names[0], sizeof(names[0]), "%s", first);
    snprintf(names[1], sizeof(names[1]), "%s", second ? second : "");
    char *list[] = {names[0], names[1]};
    struct selection selection;
    ck_assert(selection_find(world.session, list, second ? 2 : 1, &selection));
    return selection;
}

START_TEST(a_name_selects_what_belongs_to_it) {
    struct shmframe_writer *writers[] = {
        open_media("film", "film", false),
        open_media("film.de", "film", true),
        open_media("film.en", "film", true),
        open_media("mic", NULL, true),
    };
    struct selection found = find("film", NULL);
    ck_assert_uint_eq(found.count, 3);
    ck_assert_str_eq(found.stream[0].name, "film");
    ck_assert_uint_eq(found.stream[0].kind, SHMFRAME_VIDEO);
    ck_assert_str_eq(found.stream[2].name, "film.en");
    ck_assert_str_eq(found.stream[2].group, "film");
    found = find("film.en", NULL);
    ck_assert_uint_eq(found.count, 1);
    found = find("film", "mic"); /* named beside another: itself */
    ck_assert_uint_eq(found.count, 2);
    ck_assert_str_eq(found.stream[1].name, "mic");
    for (unsigned i = 0; i < 4; i++)
        shmframe_writer_close(writers[i]);
}
END_TEST

static void *open_later(void *user) {
    struct shmframe_writer **writers = user;
    writers[0] = open_media("film", "film", false);
    writers[1] = open_media("film.de", "film", true);
    return NULL;
}

START_TEST(what_is_not_there_yet_is_waited_for) {
    struct shmframe_writer *writers[2] = {0};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, open_later, writers), 0);
    const struct selection found = find("film", NULL);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(found.count, 2);
    shmframe_writer_close(writers[0]);
    shmframe_writer_close(writers[1]);
}
END_TEST

START_TEST(of_many_streams_the_last_is_found) {
    enum { MANY = 40 }; /* more than are asked for at first */
    static struct shmframe_writer *writers[MANY];
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "many-%03d", i);
        writers[i] = open_media(name, NULL, true);
    }
    const struct selection found = find("many-039", NULL);
    ck_assert_uint_eq(found.count, 1);
    ck_assert_str_eq(found.stream[0].name, "many-039");
    for (int i = 0; i < MANY; i++)
        shmframe_writer_close(writers[i]);
}
END_TEST

START_TEST(a_list_that_nobody_gives_ends_the_program) {
    char *text;
    size_t bytes;
    FILE *said = open_memstream(&text, &bytes);
    progress_set_file(said);
    consumer_settings.wait_ns = 0;
    world_kill_supervisor();
    find("film", NULL);
}
END_TEST

START_TEST(what_never_comes_ends_the_program) {
    consumer_settings.wait_ns = 0;
    find("nobody", NULL);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("sources");
    tcase_add_checked_fixture(tests, begin, world_end);
    tcase_add_test(tests, what_has_a_frame_is_ready);
    tcase_add_test(tests, it_is_over_when_every_stream_has_ended);
    tcase_add_test(tests, an_eviction_ends_it_as_a_failure);
    tcase_add_test(tests, a_stream_that_stands_still_is_late);
    tcase_add_test(tests, work_on_a_frame_is_no_lateness_of_the_next);
    tcase_add_test(tests, a_paused_source_is_not_waited_for_and_keeps_its_frames);
    tcase_add_test(tests, a_writer_that_dies_is_told_while_waiting);
    tcase_add_test(tests, without_a_policy_files_are_lossless_and_live_streams_in_order);
    tcase_add_test(tests, requests_are_served_while_waiting);
    tcase_add_test(tests, what_is_told_can_be_read_as_json);
    tcase_add_test(tests, a_name_selects_what_belongs_to_it);
    tcase_add_test(tests, what_is_not_there_yet_is_waited_for);
    tcase_add_test(tests, of_many_streams_the_last_is_found);
    tcase_add_exit_test(tests, a_list_that_nobody_gives_ends_the_program, EXIT_FAILED);
    tcase_add_exit_test(tests, what_never_comes_ends_the_program, EXIT_FAILED);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("sources");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
