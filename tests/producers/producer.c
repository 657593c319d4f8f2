/* Producer: pacing, requests and accounts, against a library of this file's own that answers as the
 * test wants it. */
#include "producer.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MS_NS INT64_C(1000000)

enum { EVENTS = 16 };

/* The library: one session, one writer, events that the test sends. */
static struct {
    int mail_fd;
    pthread_mutex_t mutex;
    struct shmframe_writer_event event[EVENTS];
    unsigned sent, taken;
    int status[EVENTS]; /* of the answers, by request */
    char text[EVENTS][SHMFRAME_ARGUMENT_BYTES];
    sem_t answered;
    int loan_results[EVENTS]; /* one after the other; 0 behind the last */
    unsigned loans;
    int64_t loan_deadline_ns;
    struct shmframe_writer_counters counters;
    uint32_t readers;
    uint32_t writer_flags;
    bool is_paced, was_paced_in_pause;
    bool is_interrupted, is_ended, is_closed, was_interrupted_at_end;
} library = {.mail_fd = -1, .mutex = PTHREAD_MUTEX_INITIALIZER};

int shmframe_session_open(const struct shmframe_session_params *params,
                          struct shmframe_session **out_session) {
    (void)params;
    *out_session = (struct shmframe_session *)&library;
    return 0;
}

void shmframe_session_close(struct shmframe_session *session) {
    ck_assert_ptr_eq(session, &library);
    library.is_closed = true;
}

int shmframe_session_fd(const struct shmframe_session *session) {
    (void)session;
    return library.mail_fd;
}

int shmframe_session_dispatch(struct shmframe_session *session) {
    (void)session;
    uint64_t count;
    (void)!read(library.mail_fd, &count, sizeof(count));
    return 0;
}

void shmframe_session_interrupt(struct shmframe_session *session) {
    (void)session;
    library.is_interrupted = true;
}

void shmframe_session_resume(struct shmframe_session *session) {
    (void)session;
    library.is_interrupted = false;
}

int shmframe_writer_open(struct shmframe_session *session,
                         const struct shmframe_writer_params *params,
                         struct shmframe_writer **out_writer) {
    (void)session;
    library.writer_flags = params->flags;
    library.is_paced = true;
    *out_writer = (struct shmframe_writer *)&library;
    return 0;
}

void shmframe_writer_close(struct shmframe_writer *writer) {
    (void)writer;
}

void shmframe_writer_set_paced(struct shmframe_writer *writer, bool is_paced) {
    (void)writer;
    library.is_paced = is_paced;
}

int shmframe_writer_end(struct shmframe_writer *writer) {
    (void)writer;
    library.is_ended = true;
    library.was_interrupted_at_end = library.is_interrupted;
    return 0;
}

int shmframe_writer_loan(struct shmframe_writer *writer, int64_t deadline_ns,
                         struct shmframe_loan *out_loan) {
    (void)writer;
    library.loan_deadline_ns = deadline_ns;
    const int result = library.loan_results[library.loans++];
    if (result == 0)
        *out_loan = (struct shmframe_loan){0};
    return result;
}

int shmframe_writer_publish(struct shmframe_writer *writer, struct shmframe_loan *loan) {
    (void)writer;
    library.counters.published++;
    library.counters.device_dropped += loan->frame.device_dropped;
    return 0;
}

void shmframe_writer_counters(struct shmframe_writer *writer,
                              struct shmframe_writer_counters *out_counters) {
    (void)writer;
    *out_counters = library.counters;
}

uint32_t shmframe_writer_readers(struct shmframe_writer *writer) {
    (void)writer;
    return library.readers;
}

int shmframe_writer_next_event(struct shmframe_writer *writer,
                               struct shmframe_writer_event *out_event) {
    (void)writer;
    pthread_mutex_lock(&library.mutex);
    const bool is_there = library.taken < library.sent;
    if (is_there)
        *out_event = library.event[library.taken++];
    if (is_there && out_event->type == SHMFRAME_READER_JOINED)
        library.readers++;
    pthread_mutex_unlock(&library.mutex);
    return is_there ? 0 : -EAGAIN;
}

int shmframe_writer_answer(struct shmframe_writer *writer, uint32_t request, int status,
                           const char *text) {
    (void)writer;
    ck_assert(!library.is_interrupted);
    library.status[request] = status;
    snprintf(library.text[request], sizeof(library.text[request]), "%s", text);
    sem_post(&library.answered);
    return 0;
}

/* Sends an event, from any thread. Returns its request number. */
static uint32_t send_event(enum shmframe_writer_event_type type, const char *verb,
                           const char *argument) {
    pthread_mutex_lock(&library.mutex);
    const uint32_t number = library.sent;
    struct shmframe_writer_event *event = &library.event[number];
    *event = (struct shmframe_writer_event){.type = type, .request = number};
    snprintf(event->verb, sizeof(event->verb), "%s", verb);
    snprintf(event->argument, sizeof(event->argument), "%s", argument);
    library.sent++;
    pthread_mutex_unlock(&library.mutex);
    (void)!write(library.mail_fd, &(uint64_t){1}, sizeof(uint64_t));
    return number;
}

static uint32_t ask(const char *verb, const char *argument) {
    return send_event(SHMFRAME_REQUEST, verb, argument);
}

static struct producer producer;
static char argument_seen[SHMFRAME_ARGUMENT_BYTES];

static int run_seek(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    ck_assert_ptr_eq(user, argument_seen);
    snprintf(argument_seen, sizeof(argument_seen), "%s", argument);
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "at %s", argument);
    return 0;
}

static const struct verb verbs[] = {{"seek", run_seek}, {0}};

static struct producer_stream *open_stream(uint32_t flags) {
    const struct shmframe_writer_params params = {.stream = "demo", .flags = flags};
    return producer_add(&producer, &params);
}

static void set_up(void) {
    library.mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sem_init(&library.answered, 0, 0);
    producer_open(&producer, verbs, argument_seen);
}

START_TEST(a_wait_ends_at_the_instant_and_not_before) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    for (int64_t media_ns = 0; media_ns < 20 * MS_NS; media_ns += MS_NS / 3) {
        ck_assert_int_eq(producer_wait_until(&producer, media_ns), PRODUCER_DUE);
        ck_assert_int_ge(producer_media_ns(&producer), media_ns);
    }
}
END_TEST

START_TEST(an_unpaced_producer_does_not_wait) {
    open_stream(0);
    producer.is_unpaced = true;
    ck_assert(producer_start(&producer));
    ck_assert_int_eq(producer_wait_until(&producer, INT64_MAX / 2), PRODUCER_DUE);
    ck_assert(!library.is_paced); /* none of its frames is late */
}
END_TEST

/* Once `pause` is answered, the clock has to stand; then it asks for `resume`. */
static void *resume_after_pause(void *out_media_ns) {
    sem_wait(&library.answered);
    int64_t *media_ns = out_media_ns;
    media_ns[0] = producer_media_ns(&producer);
    library.was_paced_in_pause = library.is_paced;
    const int64_t later_ns = shmframe_deadline_ns(5 * MS_NS);
    while (shmframe_now_ns() < later_ns)
        ;
    media_ns[1] = producer_media_ns(&producer);
    ask("resume", "");
    return NULL;
}

START_TEST(the_clock_stands_still_between_pause_and_resume) {
    struct producer_stream *stream = open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    const int64_t start_ns = producer.start_ns;
    int64_t media_ns[2];
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, resume_after_pause, media_ns), 0);
    const uint32_t pause = ask("pause", "");
    ck_assert_int_eq(producer_wait_until(&producer, MS_NS), PRODUCER_DUE);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(media_ns[0], media_ns[1]);
    ck_assert_int_ge(producer.start_ns, start_ns + 5 * MS_NS);
    ck_assert(!producer.is_paused);
    ck_assert(!library.was_paced_in_pause && library.is_paced);
    ck_assert(library.writer_flags & SHMFRAME_WRITER_TELLS_DROPS);
    ck_assert_str_eq(library.text[pause], "paused");
    ck_assert_str_eq(library.text[pause + 1], "running");

    struct shmframe_loan loan;
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
    ck_assert(loan.frame.flags & SHMFRAME_DISCONTINUITY);
    producer_publish(stream, &loan, false);
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
    ck_assert(!(loan.frame.flags & SHMFRAME_DISCONTINUITY));
}
END_TEST

START_TEST(a_second_pause_and_a_resume_out_of_turn_change_nothing) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    const int64_t start_ns = producer.start_ns;
    ask("resume", "");
    ck_assert_int_eq(producer_wait_until(&producer, MS_NS), PRODUCER_DUE);
    ck_assert_int_eq(producer.start_ns, start_ns);
    ask("pause", "");
    ask("pause", "");
    ask("resume", "");
    ck_assert_int_eq(producer_wait_until(&producer, 2 * MS_NS), PRODUCER_DUE);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(library.status[i], 0);
}
END_TEST

START_TEST(quit_is_answered_and_ends_the_wait) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    const uint32_t quit = ask("quit", "");
    ck_assert_int_eq(producer_wait_until(&producer, INT64_C(3600) * 1000 * MS_NS), PRODUCER_STOP);
    ck_assert_int_eq(library.status[quit], 0);
    ck_assert_str_eq(library.text[quit], "ending");
    ck_assert(library.is_interrupted);
}
END_TEST

START_TEST(quit_ends_a_pause_too) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    ask("pause", "");
    ask("quit", "");
    ck_assert_int_eq(producer_wait_until(&producer, 0), PRODUCER_STOP);
}
END_TEST

START_TEST(an_unknown_verb_hears_which_ones_there_are) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    const uint32_t request = ask("dance", "");
    ck_assert_int_eq(producer_wait_until(&producer, 0), PRODUCER_DUE);
    ck_assert_int_eq(library.status[request], -ENOTSUP);
    ck_assert_str_eq(library.text[request], "verbs: help, pause, resume, quit, seek");
}
END_TEST

START_TEST(help_names_the_verbs_and_is_no_error) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    const uint32_t request = ask("help", "");
    ck_assert_int_eq(producer_wait_until(&producer, 0), PRODUCER_DUE);
    ck_assert_int_eq(library.status[request], 0);
    ck_assert_str_eq(library.text[request], "verbs: help, pause, resume, quit, seek");
}
END_TEST

START_TEST(a_setting_is_a_name_and_the_rest) {
    char name[SHMFRAME_ARGUMENT_BYTES] = "untouched";
    ck_assert_str_eq(producer_split_setting("brightness 50", name), "50");
    ck_assert_str_eq(name, "brightness");
    ck_assert_str_eq(producer_split_setting("power  50 Hz", name), "50 Hz");
    ck_assert_str_eq(name, "power");
    static const char *const wrong[] = {"", "brightness", "brightness ", " 50"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_ptr_null(producer_split_setting(wrong[i], name));
    ck_assert_str_eq(name, "power");
}
END_TEST

START_TEST(a_verb_of_the_programs_own_gets_its_argument_and_ends_the_wait) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    const uint32_t request = ask("seek", "12.5");
    ck_assert_int_eq(producer_wait_until(&producer, INT64_C(3600) * 1000 * MS_NS), PRODUCER_ASKED);
    ck_assert_str_eq(argument_seen, "12.5");
    ck_assert_int_eq(library.status[request], 0);
    ck_assert_str_eq(library.text[request], "at 12.5");
}
END_TEST

static void *raise_interrupt(void *main_thread) {
    pthread_kill(*(pthread_t *)main_thread, SIGINT);
    return NULL;
}

START_TEST(a_signal_ends_the_wait) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    pthread_t self = pthread_self(), thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_interrupt, &self), 0);
    ck_assert_int_eq(producer_wait_until(&producer, INT64_C(3600) * 1000 * MS_NS), PRODUCER_STOP);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(program_is_stopping());
}
END_TEST

START_TEST(a_device_that_is_ready_ends_the_wait) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(producer_wait_for(&producer, ends[0], shmframe_deadline_ns(MS_NS)),
                     PRODUCER_DUE);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(producer_wait_for(&producer, ends[0], SHMFRAME_FOREVER), PRODUCER_READY);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_device_that_is_gone_is_tried_again_later_and_later) {
    open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    uint32_t tries = 0;
    int64_t before_ns = shmframe_now_ns(), waited_ns[2];
    for (int i = 0; i < 2; i++) {
        ask("seek", "1"); /* does not shorten the wait */
        ck_assert_int_eq(producer_wait_retry(&producer, &tries), PRODUCER_DUE);
        waited_ns[i] = shmframe_now_ns() - before_ns;
        before_ns += waited_ns[i];
    }
    ck_assert_int_ge(waited_ns[0], 100 * MS_NS);
    ck_assert_int_ge(waited_ns[1], 200 * MS_NS);
    ck_assert_uint_eq(tries, 2);
    ask("quit", "");
    ck_assert_int_eq(producer_wait_retry(&producer, &tries), PRODUCER_STOP);
}
END_TEST

START_TEST(the_duration_ends_the_tries_for_a_device_but_not_while_paused) {
    open_stream(SHMFRAME_WRITER_LIVE);
    producer_options.duration_ns = 20 * MS_NS;
    ck_assert(producer_start(&producer));
    ck_assert(!producer_is_over(&producer));
    ck_assert_int_eq(producer_end_ns(&producer), producer.start_ns + 20 * MS_NS);
    uint32_t tries = 0;
    ask("pause", "");
    ck_assert_int_eq(producer_wait_retry(&producer, &tries), PRODUCER_DUE);
    ck_assert_int_eq(producer_end_ns(&producer), SHMFRAME_FOREVER);
    ask("resume", "");
    ck_assert_int_eq(producer_wait_retry(&producer, &tries), PRODUCER_STOP);
    ck_assert(producer_is_over(&producer));
}
END_TEST

START_TEST(the_start_waits_for_readers) {
    open_stream(SHMFRAME_WRITER_LIVE);
    producer_options.wait_readers = 2;
    send_event(SHMFRAME_READER_JOINED, "", "");
    send_event(SHMFRAME_READER_JOINED, "", "");
    ck_assert(producer_start(&producer));
    ck_assert_uint_eq(library.readers, 2);
}
END_TEST

START_TEST(a_device_is_watched_while_readers_are_waited_for) {
    open_stream(SHMFRAME_WRITER_LIVE);
    producer_options.wait_readers = 1;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(producer_wait_readers(&producer, ends[0]), PRODUCER_READY);
    ck_assert_int_eq(library.readers, 0);
    send_event(SHMFRAME_READER_JOINED, "", "");
    char byte;
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_int_eq(producer_wait_readers(&producer, ends[0]), PRODUCER_DUE);
    ck_assert_int_eq(producer.started_ns, 0);
    ck_assert(producer_start(&producer));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(quit_ends_the_wait_for_readers) {
    open_stream(SHMFRAME_WRITER_LIVE);
    producer_options.wait_readers = 2;
    send_event(SHMFRAME_READER_JOINED, "", "");
    ask("quit", "");
    ck_assert(!producer_start(&producer));
}
END_TEST

START_TEST(a_refused_frame_is_counted_and_the_next_one_tells) {
    struct producer_stream *stream = open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    library.loan_results[0] = -ENOSPC;
    library.loan_results[1] = -ENOMEM;
    struct shmframe_loan loan;
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), -EAGAIN);
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), -EAGAIN);
    ck_assert_int_eq(library.loan_deadline_ns, SHMFRAME_NOW);
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
    ck_assert_uint_eq(loan.frame.device_dropped, 2);
    ck_assert_uint_eq(loan.own_dropped, 2);
    ck_assert(loan.frame.flags & SHMFRAME_DISCONTINUITY);
    producer_publish(stream, &loan, false);
    ck_assert_uint_eq(stream->refused, 2);
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
    ck_assert_uint_eq(loan.frame.device_dropped, 0);
    ck_assert_uint_eq(loan.own_dropped, 0);
}
END_TEST

START_TEST(what_the_device_dropped_is_told_from_ones_own) {
    struct producer_stream *stream = open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    producer_count_dropped(stream, 3);
    stream->dropped += 2;
    struct shmframe_loan loan;
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
    ck_assert_uint_eq(loan.frame.device_dropped, 5);
    ck_assert_uint_eq(loan.own_dropped, 2);
    producer_publish(stream, &loan, false);
    stream->dropped++;
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
    ck_assert_uint_eq(loan.frame.device_dropped, 1);
    ck_assert_uint_eq(loan.own_dropped, 1);
}
END_TEST

START_TEST(a_lossless_reader_is_waited_for) {
    struct producer_stream *stream = open_stream(0);
    ck_assert(producer_start(&producer));
    library.loan_results[0] = -ETIMEDOUT;
    library.loan_results[1] = -EINTR;
    struct shmframe_loan loan;
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
    ck_assert_uint_eq(library.loans, 3);
    ck_assert_uint_eq(stream->refused, 0);
}
END_TEST

START_TEST(quit_is_heard_while_a_lossless_reader_is_behind) {
    struct producer_stream *stream = open_stream(0);
    ck_assert(producer_start(&producer));
    library.loan_results[0] = -ETIMEDOUT;
    ask("quit", "");
    struct shmframe_loan loan;
    ck_assert_int_eq(producer_loan(&producer, stream, &loan), -EINTR);
}
END_TEST

START_TEST(frames_are_limited_by_what_was_published) {
    struct producer_stream *stream = open_stream(SHMFRAME_WRITER_LIVE);
    producer_options.frames = 2;
    ck_assert(producer_start(&producer));
    struct shmframe_loan loan;
    for (int i = 0; i < 2; i++) {
        ck_assert(!producer_has_enough(&producer));
        ck_assert_int_eq(producer_loan(&producer, stream, &loan), 0);
        producer_publish(stream, &loan, i == 1);
    }
    ck_assert(producer_has_enough(&producer));
}
END_TEST

START_TEST(the_end_is_told_and_the_accounts_add_up) {
    struct producer_stream *stream = open_stream(SHMFRAME_WRITER_LIVE);
    ck_assert(producer_start(&producer));
    library.loan_results[0] = -ENOSPC;
    library.loan_results[3] = -ENOSPC;
    stream->copied_why = "the moon is full";
    stream->overdue = 5;
    stream->clock_error_ns = 1500;
    producer_count_dropped(stream, 3);
    library.counters.loans_cold = 7;
    struct shmframe_loan loan;
    for (int i = 0; i < 4; i++)
        if (producer_loan(&producer, stream, &loan) == 0)
            producer_publish(stream, &loan, i == 1);
    program_stop();

    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    producer_options.format = "json";
    ck_assert_int_eq(producer_finish(&producer), EXIT_DONE);
    ck_assert(library.is_ended);
    ck_assert(library.is_closed);
    ck_assert(!library.was_interrupted_at_end);

    char text[4096] = "";
    ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 0);
    json_t *report = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(report);
    const char *name, *why;
    int frames, in_place, copied, overdue, dropped, by_device, cold, refused;
    double error_us;
    ck_assert_int_eq(json_unpack(report, "{s:[{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:s}]}",
                                 "streams", "stream", &name, "frames", &frames, "in_place",
                                 &in_place, "copied", &copied, "overdue", &overdue, "dropped",
                                 &dropped, "device_dropped", &by_device, "cold_loans", &cold,
                                 "refused_loans", &refused, "clock_error_us", &error_us,
                                 "copied_why", &why),
                     0);
    ck_assert_int_eq(by_device, 3);
    ck_assert_double_eq_tol(error_us, 1.5, 1e-9);
    ck_assert_str_eq(name, "demo");
    ck_assert_str_eq(why, "the moon is full");
    ck_assert_int_eq(frames, 2);
    ck_assert_int_eq(in_place, 1);
    ck_assert_int_eq(copied, 1);
    ck_assert_int_eq(overdue, 5);
    ck_assert_int_eq(dropped, 5); /* four told by a frame, one behind the last */
    ck_assert_int_eq(cold, 7);
    ck_assert_int_eq(refused, 2);
    json_decref(report);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("producer");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, set_up, NULL);
    tcase_set_timeout(run, 20);
    tcase_add_test(run, a_wait_ends_at_the_instant_and_not_before);
    tcase_add_test(run, an_unpaced_producer_does_not_wait);
    tcase_add_test(run, the_clock_stands_still_between_pause_and_resume);
    tcase_add_test(run, a_second_pause_and_a_resume_out_of_turn_change_nothing);
    tcase_add_test(run, quit_is_answered_and_ends_the_wait);
    tcase_add_test(run, quit_ends_a_pause_too);
    tcase_add_test(run, an_unknown_verb_hears_which_ones_there_are);
    tcase_add_test(run, help_names_the_verbs_and_is_no_error);
    tcase_add_test(run, a_setting_is_a_name_and_the_rest);
    tcase_add_test(run, a_verb_of_the_programs_own_gets_its_argument_and_ends_the_wait);
    tcase_add_test(run, a_signal_ends_the_wait);
    tcase_add_test(run, a_device_that_is_ready_ends_the_wait);
    tcase_add_test(run, a_device_that_is_gone_is_tried_again_later_and_later);
    tcase_add_test(run, the_duration_ends_the_tries_for_a_device_but_not_while_paused);
    tcase_add_test(run, the_start_waits_for_readers);
    tcase_add_test(run, a_device_is_watched_while_readers_are_waited_for);
    tcase_add_test(run, quit_ends_the_wait_for_readers);
    tcase_add_test(run, a_refused_frame_is_counted_and_the_next_one_tells);
    tcase_add_test(run, what_the_device_dropped_is_told_from_ones_own);
    tcase_add_test(run, a_lossless_reader_is_waited_for);
    tcase_add_test(run, quit_is_heard_while_a_lossless_reader_is_behind);
    tcase_add_test(run, frames_are_limited_by_what_was_published);
    tcase_add_test(run, the_end_is_told_and_the_accounts_add_up);
    suite_add_tcase(suite, run);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
