/* Requests: from any session to a stream's writer, and the answer back. */
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { UNANSWERED_MAX = 64 };

static struct shmframe_writer *writer;
static struct shmframe_session *asker;

static void begin(void) {
    world_begin();
    writer = world_open_writer("s");
    asker = world_open_session();
}

static void end(void) {
    shmframe_session_close(asker);
    shmframe_writer_close(writer);
    world_end();
}

/* A question that a thread of its own asks. */
struct question {
    struct shmframe_session *session;
    const char *stream, *verb, *argument;
    pthread_t thread;
    int code;
    struct shmframe_answer answer;
};

static void *ask(void *user) {
    struct question *question = user;
    question->code =
        shmframe_session_request(question->session, question->stream, question->verb,
                                 question->argument, world_deadline(), &question->answer);
    return NULL;
}

static struct question *start(struct question *question) {
    ck_assert_int_eq(pthread_create(&question->thread, NULL, ask, question), 0);
    return question;
}

static int finish(struct question *question) {
    ck_assert_int_eq(pthread_join(question->thread, NULL), 0);
    return question->code;
}

/* Asked in this thread, and not waited for. */
static void ask_and_leave(const char *verb) {
    struct shmframe_answer answer;
    expect_error(shmframe_session_request(asker, "s", verb, NULL, SHMFRAME_NOW, &answer),
                 -ETIMEDOUT, "'s' has not");
}

/* The publish reads the page in which the supervisor tells of mail, too. */
START_TEST(a_request_that_comes_between_loan_and_publish_is_there_at_the_next_loan) {
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    ask_and_leave("early");
    world_expect_readable(shmframe_session_fd(world.session));
    world_await_asleep(world.supervisor);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    struct shmframe_writer_event event;
    ck_assert_int_eq(shmframe_writer_next_event(writer, &event), 0);
    ck_assert_int_eq(event.type, SHMFRAME_REQUEST);
    ck_assert_str_eq(event.verb, "early");
    ck_assert_int_eq(shmframe_writer_abandon(writer, &loan), 0);
}
END_TEST

START_TEST(verb_and_argument_reach_the_writer_and_status_and_text_the_asker) {
    struct question question = {
        .session = asker, .stream = "s", .verb = "brightness", .argument = "0.5 of 1"};
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_str_eq(event.verb, "brightness");
    ck_assert_str_eq(event.argument, "0.5 of 1");
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, "it is 0.5 now"), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_int_eq(question.answer.status, 0);
    ck_assert_str_eq(question.answer.text, "it is 0.5 now");
}
END_TEST

START_TEST(a_refusal_is_an_answer_too) {
    struct question question = {.session = asker, .stream = "s", .verb = "fly"};
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_str_eq(event.argument, "");
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, -ENOTSUP, NULL), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_int_eq(question.answer.status, -ENOTSUP);
    ck_assert_str_eq(question.answer.text, "");
}
END_TEST

START_TEST(a_request_is_answered_once) {
    struct question question = {.session = asker, .stream = "s", .verb = "pause"};
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, "first"), 0);
    char number[16];
    snprintf(number, sizeof(number), "%u", event.request);
    expect_error(shmframe_writer_answer(writer, event.request, 0, "second"), -EINVAL, number);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_str_eq(question.answer.text, "first");
}
END_TEST

START_TEST(a_request_that_never_was_cannot_be_answered) {
    expect_error(shmframe_writer_answer(writer, 4711, 0, NULL), -EINVAL, "4711");
    expect_error(shmframe_writer_answer(writer, 0, 0, NULL), -EINVAL, "0");
}
END_TEST

START_TEST(a_writer_cannot_answer_what_another_one_was_asked) {
    struct shmframe_writer *other = world_open_writer("t");
    struct question question = {.session = asker, .stream = "t", .verb = "pause"};
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(other, SHMFRAME_REQUEST);
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, NULL), -EINVAL);
    ck_assert_int_eq(shmframe_writer_answer(other, event.request, 0, "mine"), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_str_eq(question.answer.text, "mine");
    shmframe_writer_close(other);
}
END_TEST

START_TEST(the_longest_texts_arrive_whole_and_longer_ones_are_refused) {
    char verb[SHMFRAME_VERB_BYTES + 1] = "", argument[SHMFRAME_ARGUMENT_BYTES + 1] = "";
    struct shmframe_answer answer;
    memset(verb, 'v', SHMFRAME_VERB_BYTES);
    memset(argument, 'a', SHMFRAME_ARGUMENT_BYTES);
    expect_error(shmframe_session_request(asker, "s", verb, NULL, world_deadline(), &answer),
                 -EINVAL, "31");
    expect_error(shmframe_session_request(asker, "s", "", NULL, world_deadline(), &answer), -EINVAL,
                 "verb");
    expect_error(shmframe_session_request(asker, "s", "v", argument, world_deadline(), &answer),
                 -EINVAL, "191");
    expect_error(shmframe_session_request(asker, "No Good", "v", NULL, world_deadline(), &answer),
                 -EINVAL, "'No Good'");
    verb[SHMFRAME_VERB_BYTES - 1] = '\0';
    struct question question = {.session = asker, .stream = "s", .verb = verb};
    question.argument = argument + 1; /* a byte shorter */
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_str_eq(event.verb, verb);
    ck_assert_str_eq(event.argument, argument + 1);
    expect_error(shmframe_writer_answer(writer, event.request, 0, argument), -EINVAL, "191");
    expect_error(shmframe_writer_answer(writer, event.request, 1, NULL), -EINVAL, "1");
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, argument + 1), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_str_eq(question.answer.text, argument + 1);
}
END_TEST

START_TEST(who_gets_no_answer_in_time_hears_so_and_gets_nobody_elses_later) {
    ask_and_leave("first");
    const struct shmframe_writer_event late = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    struct question question = {.session = asker, .stream = "s", .verb = "second"};
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_str_eq(late.verb, "first");
    ck_assert_str_eq(event.verb, "second");
    ck_assert_int_eq(shmframe_writer_answer(writer, late.request, -EIO, "too late"), 0);
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, "in time"), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_int_eq(question.answer.status, 0);
    ck_assert_str_eq(question.answer.text, "in time");
}
END_TEST

START_TEST(a_writer_that_leaves_meanwhile_is_gone_for_its_asker) {
    struct question question = {.session = asker, .stream = "s", .verb = "pause"};
    start(&question);
    world_expect_writer_event(writer, SHMFRAME_REQUEST);
    shmframe_writer_close(writer);
    writer = NULL;
    ck_assert_int_eq(finish(&question), -EPIPE);
}
END_TEST

static void hear_and_wait(void) {
    world.session = world_open_session();
    struct shmframe_writer *mortal = world_open_writer("mortal");
    world_tell();
    world_expect_writer_event(mortal, SHMFRAME_REQUEST);
    world_tell();
    world_expect_readable(-1);
}

START_TEST(a_writer_that_dies_meanwhile_is_gone_for_its_asker) {
    const pid_t pid = world_fork(hear_and_wait);
    world_await();
    struct question question = {.session = asker, .stream = "mortal", .verb = "pause"};
    start(&question);
    world_await();
    world_kill(pid);
    ck_assert_int_eq(finish(&question), -EPIPE);
    struct shmframe_answer answer;
    expect_error(
        shmframe_session_request(asker, "mortal", "pause", NULL, world_deadline(), &answer), -EPIPE,
        "'mortal'");
}
END_TEST

static void ask_in_vain(void) {
    asker = world_open_session();
    ask_and_leave("die");
    world_tell();
    world_expect_readable(-1);
}

START_TEST(an_asker_that_is_gone_holds_nobody_up) {
    const pid_t pid = world_fork(ask_in_vain);
    world_await();
    const struct shmframe_writer_event orphan = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    world_kill(pid);
    struct question question = {.session = asker, .stream = "s", .verb = "live"};
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_int_eq(shmframe_writer_answer(writer, orphan.request, 0, NULL), 0);
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, "alive"), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_str_eq(question.answer.text, "alive");
}
END_TEST

START_TEST(more_unanswered_requests_than_64_are_refused_until_one_is_answered) {
    char verb[16];
    for (unsigned i = 0; i < UNANSWERED_MAX; i++) {
        snprintf(verb, sizeof(verb), "do-%u", i);
        ask_and_leave(verb);
    }
    struct shmframe_answer answer;
    expect_error(shmframe_session_request(asker, "s", "one-more", NULL, world_deadline(), &answer),
                 -EBUSY, "'s'");
    struct shmframe_writer_event event = {0};
    for (unsigned i = 0; i < UNANSWERED_MAX; i++) {
        snprintf(verb, sizeof(verb), "do-%u", i);
        event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
        ck_assert_str_eq(event.verb, verb);
    }
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, NULL), 0);
    world_await_asleep(world.supervisor); /* two sockets: it might read the question first */
    struct question question = {.session = asker, .stream = "s", .verb = "again"};
    start(&question);
    event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_str_eq(event.verb, "again");
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, NULL), 0);
    ck_assert_int_eq(finish(&question), 0);
}
END_TEST

START_TEST(a_thread_may_ask_the_stream_that_its_own_session_writes) {
    struct question question = {.session = world.session, .stream = "s", .verb = "pause"};
    start(&question);
    /* Either thread may take the mail; both hear what is theirs. */
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, "paused"), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_str_eq(question.answer.text, "paused");
}
END_TEST

START_TEST(who_asks_itself_in_one_thread_finds_the_request_after_the_deadline) {
    struct shmframe_answer answer;
    expect_error(shmframe_session_request(world.session, "s", "pause", NULL,
                                          shmframe_deadline_ns(20000000), &answer),
                 -ETIMEDOUT, "'s' has not");
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_str_eq(event.verb, "pause");
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, NULL), 0);
}
END_TEST

START_TEST(a_supervisor_that_dies_meanwhile_is_told) {
    struct question question = {.session = asker, .stream = "s", .verb = "pause"};
    start(&question);
    const struct shmframe_writer_event event = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    world_kill_supervisor();
    ck_assert_int_eq(finish(&question), -ENOTCONN);
    world_await_connected(false);
    ck_assert_int_eq(shmframe_writer_answer(writer, event.request, 0, NULL), -ENOTCONN);
}
END_TEST

/* Asks until the writer has come back to the new supervisor. */
static void *ask_again(void *user) {
    struct question *question = user;
    const int64_t deadline_ns = world_deadline();
    do {
        ask(question);
    } while (
        (question->code == -ENOTCONN || question->code == -ENOENT || question->code == -EPIPE) &&
        shmframe_now_ns() < deadline_ns);
    return NULL;
}

START_TEST(an_answer_from_before_a_restart_does_not_go_to_who_asks_after_it) {
    ask_and_leave("before");
    const struct shmframe_writer_event before = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    struct question question = {.session = asker, .stream = "s", .verb = "after"};
    ck_assert_int_eq(pthread_create(&question.thread, NULL, ask_again, &question), 0);
    const struct shmframe_writer_event after = world_expect_writer_event(writer, SHMFRAME_REQUEST);
    ck_assert_str_eq(after.verb, "after");
    ck_assert_int_eq(shmframe_writer_answer(writer, before.request, -EIO, "to nobody"), -EINVAL);
    ck_assert_int_eq(shmframe_writer_answer(writer, after.request, 0, "to you"), 0);
    ck_assert_int_eq(finish(&question), 0);
    ck_assert_str_eq(question.answer.text, "to you");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("request");
    TCase *tests = tcase_create("request");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_request_that_comes_between_loan_and_publish_is_there_at_the_next_loan);
    tcase_add_test(tests, verb_and_argument_reach_the_writer_and_status_and_text_the_asker);
    tcase_add_test(tests, a_refusal_is_an_answer_too);
    tcase_add_test(tests, a_request_is_answered_once);
    tcase_add_test(tests, a_request_that_never_was_cannot_be_answered);
    tcase_add_test(tests, a_writer_cannot_answer_what_another_one_was_asked);
    tcase_add_test(tests, the_longest_texts_arrive_whole_and_longer_ones_are_refused);
    tcase_add_test(tests, who_gets_no_answer_in_time_hears_so_and_gets_nobody_elses_later);
    tcase_add_test(tests, a_writer_that_leaves_meanwhile_is_gone_for_its_asker);
    tcase_add_test(tests, a_writer_that_dies_meanwhile_is_gone_for_its_asker);
    tcase_add_test(tests, an_asker_that_is_gone_holds_nobody_up);
    tcase_add_test(tests, more_unanswered_requests_than_64_are_refused_until_one_is_answered);
    tcase_add_test(tests, a_thread_may_ask_the_stream_that_its_own_session_writes);
    tcase_add_test(tests, who_asks_itself_in_one_thread_finds_the_request_after_the_deadline);
    tcase_add_test(tests, a_supervisor_that_dies_meanwhile_is_told);
    tcase_add_test(tests, an_answer_from_before_a_restart_does_not_go_to_who_asks_after_it);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
