/* Writers and supervisors that are killed and come again: what everybody else sees of it. */
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS_WATCHED = 64 };

/* ---- a writer in a process of its own, which does as it is told ---- */

enum order_type {
    ORDER_PUBLISH,             /* `number` frames, each with its sequence as its value */
    ORDER_SET_FORMAT,          /* data of type "other" */
    ORDER_CHANGE_UNDER_A_LOAN, /* `number` times; the frame comes after them, in the ring before */
    ORDER_COUNT_READERS,       /* linked at this moment */
    ORDER_COUNT_JOINED,        /* of the events so far */
    ORDER_COUNT_LEFT,
    ORDER_END,
};

struct order {
    enum order_type type;
    uint64_t number;
};

struct report {
    int code;
    uint64_t number;
    uint64_t slots; /* publish: which were used */
};

struct remote {
    pid_t pid; /* 0: none */
    int socket;
};

static struct remote remote;
static struct shmframe_reader *reader;
static int own_end = -1;
static uint64_t readers_joined, readers_left;

static void begin(void) {
    world_begin();
    remote = (struct remote){.socket = -1};
    reader = NULL;
}

static void kill_remote(struct remote *of) {
    if (of->pid) {
        world_kill(of->pid);
        close(of->socket);
    }
    *of = (struct remote){.socket = -1};
}

static void end(void) {
    shmframe_reader_close(reader);
    kill_remote(&remote);
    world_end();
}

static void publish(struct shmframe_writer *writer, uint64_t count, struct report *report) {
    while (count-- > 0 && report->code == 0) {
        struct shmframe_loan loan;
        report->code = shmframe_writer_loan(writer, world_deadline(), &loan);
        if (report->code < 0)
            return;
        const uint64_t value = report->number + 1;
        memcpy(loan.data, &value, sizeof(value));
        report->slots |= UINT64_C(1) << loan.slot % SLOTS_WATCHED;
        report->code = shmframe_writer_publish(writer, &loan);
        report->number = loan.frame.sequence;
    }
}

static int set_format(struct shmframe_writer *writer) {
    struct shmframe_format format;
    const int code = shmframe_format_data(&format, "other", 64);
    return code < 0 ? code : shmframe_writer_set_format(writer, &format, world_deadline());
}

/* What is on loan is published in the ring that it is of, though there is another one by then. */
static void change_under_a_loan(struct shmframe_writer *writer, uint64_t changes,
                                struct report *report) {
    struct shmframe_loan loan;
    report->code = shmframe_writer_loan(writer, world_deadline(), &loan);
    for (uint64_t i = 0; i < changes && report->code == 0; i++)
        report->code = set_format(writer);
    if (report->code == 0)
        report->code = shmframe_writer_publish(writer, &loan);
    report->number = loan.frame.sequence;
}

static void obey(struct shmframe_writer *writer, const struct order *order, struct report *report) {
    report->code = 0;
    report->slots = 0;
    switch (order->type) {
    case ORDER_PUBLISH:
        publish(writer, order->number, report);
        break;
    case ORDER_SET_FORMAT:
        report->code = set_format(writer);
        break;
    case ORDER_CHANGE_UNDER_A_LOAN:
        change_under_a_loan(writer, order->number, report);
        break;
    case ORDER_COUNT_READERS:
        report->number = shmframe_writer_readers(writer);
        break;
    case ORDER_COUNT_JOINED:
        report->number = readers_joined;
        break;
    case ORDER_COUNT_LEFT:
        report->number = readers_left;
        break;
    case ORDER_END:
        report->code = shmframe_writer_end(writer);
        break;
    }
}

/* Dispatches, and takes events: that is all that a writer does that has nothing to publish. */
static void look_after(struct shmframe_writer *writer) {
    struct shmframe_writer_event event;
    shmframe_session_dispatch(world.session);
    while (shmframe_writer_next_event(writer, &event) == 0) {
        readers_joined += event.type == SHMFRAME_READER_JOINED;
        readers_left += event.type == SHMFRAME_READER_LEFT;
        if (event.type == SHMFRAME_REQUEST)
            shmframe_writer_answer(writer, event.request, 0, event.verb);
    }
}

static uint32_t ring_slots; /* 0: the default */

static void write_as_told(void) {
    world.session = world_open_session();
    struct shmframe_writer_params params = world_writer_params("s");
    params.ring_bytes = ring_slots ? 147456 + 4096 * (uint64_t)ring_slots : 0;
    params.deadline_ns = world_deadline();
    struct shmframe_writer *writer;
    struct report report = {.code = shmframe_writer_open(world.session, &params, &writer)};
    uint64_t sequence = 0;
    for (;;) {
        if (send(own_end, &report, sizeof(report), MSG_NOSIGNAL) < 0 || report.code < 0)
            return;
        struct pollfd poll_both[] = {{.fd = shmframe_session_fd(world.session), .events = POLLIN},
                                     {.fd = own_end, .events = POLLIN}};
        while (poll(poll_both, 2, -1) > 0 && !poll_both[1].revents)
            look_after(writer);
        struct order order;
        if (recv(own_end, &order, sizeof(order), 0) != sizeof(order))
            return;
        look_after(writer);
        report.number = sequence;
        obey(writer, &order, &report);
        if (order.type == ORDER_PUBLISH)
            sequence = report.number;
    }
}

/* Waits for the writer's report; our own session is served meanwhile. */
static struct report await_report(const struct remote *of) {
    const int64_t deadline_ns = world_deadline();
    struct report report = {0};
    while (recv(of->socket, &report, sizeof(report), MSG_DONTWAIT) < 0) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the writer does not answer");
        struct pollfd poll_both[] = {{.fd = shmframe_session_fd(world.session), .events = POLLIN},
                                     {.fd = of->socket, .events = POLLIN}};
        poll(poll_both, 2, 1000);
        shmframe_session_dispatch(world.session);
    }
    return report;
}

static struct remote start_writer_alone(void) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    own_end = ends[1];
    const struct remote started = {.pid = world_fork(write_as_told), .socket = ends[0]};
    close(ends[1]);
    return started;
}

static struct remote start_writer(void) {
    const struct remote started = start_writer_alone();
    ck_assert_int_eq(await_report(&started).code, 0);
    return started;
}

static struct report tell(const struct remote *of, enum order_type type, uint64_t number) {
    const struct order order = {.type = type, .number = number};
    ck_assert_int_eq(send(of->socket, &order, sizeof(order), MSG_NOSIGNAL), sizeof(order));
    const struct report report = await_report(of);
    ck_assert_int_eq(report.code, 0);
    return report;
}

/* ---- readers ---- */

static struct shmframe_reader *open_reader(enum shmframe_policy policy, uint32_t depth) {
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = policy, .depth = depth, .deadline_ns = world_deadline()};
    struct shmframe_reader *opened = NULL;
    const int code = shmframe_reader_open(world.session, &params, &opened);
    ck_assert_msg(code == 0, "no reader (%d): %s", code, shmframe_last_error());
    return opened;
}

/* Takes the next frame, which has all this; releases it. */
static void expect_frame(uint64_t sequence, uint32_t flags, uint64_t lost) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, world_deadline(), &lease);
    ck_assert_msg(code == 0, "no frame %d (%d): %s", (int)sequence, code, shmframe_last_error());
    ck_assert_uint_eq(lease.frame.sequence, sequence);
    ck_assert_uint_eq(lease.flags, flags);
    ck_assert_uint_eq(lease.lost, lost);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
}

/* Waits until the reader has heard of the writer's death. */
static void await_gone(void) {
    const int64_t deadline_ns = world_deadline();
    struct shmframe_reader_event event = {0};
    struct shmframe_lease lease;
    while (shmframe_reader_next_event(reader, &event) == -EAGAIN) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "nobody tells of the writer's death");
        const int code = shmframe_reader_acquire(reader, shmframe_deadline_ns(10000000), &lease);
        ck_assert_int_eq(code, -ETIMEDOUT);
    }
    ck_assert_int_eq(event.type, SHMFRAME_WRITER_GONE);
}

static void expect_losses(uint64_t late, uint64_t restart) {
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.lost_late, late);
    ck_assert_uint_eq(counters.lost_restart, restart);
}

static void restart_supervisor(void) {
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
}

/* Until the writer tells of so many. */
static void await_number(enum order_type type, uint64_t number) {
    const int64_t deadline_ns = world_deadline();
    uint64_t told;
    while ((told = tell(&remote, type, 0).number) != number) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the writer still tells of %d, not %d",
                      (int)told, (int)number);
        poll(NULL, 0, 1);
        shmframe_session_dispatch(world.session);
    }
}

/* The writer has come back to the supervisor: it is asked, and answers. */
static void await_writer(void) {
    const int64_t deadline_ns = world_deadline();
    struct shmframe_answer answer = {0};
    int code;
    do {
        code = shmframe_session_request(world.session, "s", "pause", NULL, deadline_ns, &answer);
    } while (code == -EPIPE || code == -ENOENT);
    ck_assert_int_eq(code, 0);
    ck_assert_str_eq(answer.text, "pause");
}

/* ---- another writer ---- */

START_TEST(the_next_writer_goes_on_where_a_killed_one_stopped) {
    remote = start_writer();
    reader = open_reader((enum shmframe_policy)_i, 4);
    for (uint64_t i = 1; i <= 3; i++) {
        tell(&remote, ORDER_PUBLISH, 1);
        expect_frame(i, 0, 0);
    }
    kill_remote(&remote);
    await_gone();
    remote = start_writer();
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, 1).number, 4);
    expect_frame(4, SHMFRAME_LEASE_RESTARTED, 0);
    tell(&remote, ORDER_PUBLISH, 1);
    expect_frame(5, 0, 0);
    world_expect_event(reader, SHMFRAME_RESTARTED);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.restarts, 1);
    ck_assert_uint_eq(counters.formats, 0);
    ck_assert_uint_eq(counters.skipped, 0);
    expect_losses(0, 0);
}
END_TEST

START_TEST(what_a_dead_writer_published_is_delivered_first) {
    remote = start_writer();
    reader = open_reader((enum shmframe_policy)_i, 4);
    tell(&remote, ORDER_PUBLISH, 4);
    kill_remote(&remote);
    remote = start_writer();
    tell(&remote, ORDER_PUBLISH, 4);
    for (uint64_t i = 1; i <= 4; i++)
        expect_frame(i, 0, 0);
    expect_frame(5, SHMFRAME_LEASE_RESTARTED, 0);
    for (uint64_t i = 6; i <= 8; i++)
        expect_frame(i, 0, 0);
    world_expect_event(reader, SHMFRAME_WRITER_GONE);
    world_expect_event(reader, SHMFRAME_RESTARTED);
    expect_losses(0, 0);
}
END_TEST

START_TEST(frames_of_a_dead_writer_that_came_too_fast_are_lost_late) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 4);
    tell(&remote, ORDER_PUBLISH, 1);
    expect_frame(1, 0, 0);
    tell(&remote, ORDER_PUBLISH, 9);
    kill_remote(&remote);
    remote = start_writer();
    tell(&remote, ORDER_PUBLISH, 1);
    expect_frame(7, 0, 5);
    for (uint64_t i = 8; i <= 10; i++)
        expect_frame(i, 0, 0);
    expect_frame(11, SHMFRAME_LEASE_RESTARTED, 0);
    expect_losses(5, 0);
}
END_TEST

START_TEST(frames_of_a_ring_that_the_reader_was_not_linked_to_are_lost_by_the_restart) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 100);
    tell(&remote, ORDER_PUBLISH, 2);
    expect_frame(1, 0, 0);
    expect_frame(2, 0, 0);
    kill_remote(&remote);
    ring_slots = 8; /* no room for a reader this deep */
    remote = start_writer();
    ring_slots = 0;
    tell(&remote, ORDER_PUBLISH, 5);
    kill_remote(&remote);
    remote = start_writer();
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, 1).number, 8);
    struct shmframe_lease lease;
    int code;
    while ((code = shmframe_reader_acquire(reader, world_deadline(), &lease)) == -ENOSPC)
        ; /* told of the ring that it did not get */
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(lease.frame.sequence, 8);
    ck_assert_uint_eq(lease.lost, 5);
    ck_assert(lease.flags & SHMFRAME_LEASE_RESTARTED);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    struct shmframe_reader_event event;
    do {
        ck_assert_int_eq(shmframe_reader_next_event(reader, &event), 0);
    } while (event.type != SHMFRAME_LOST);
    ck_assert_int_eq(event.cause, SHMFRAME_LOST_RESTART);
    ck_assert_uint_eq(event.first, 3);
    ck_assert_uint_eq(event.count, 5);
    expect_losses(0, 5);
}
END_TEST

START_TEST(a_lease_outlives_its_writer_and_the_next_one) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_LATEST, 0);
    tell(&remote, ORDER_PUBLISH, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    kill_remote(&remote);
    remote = start_writer();
    tell(&remote, ORDER_PUBLISH, 50);
    ck_assert_uint_eq(world_value(&lease), 1);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    expect_frame(51, SHMFRAME_LEASE_RESTARTED, 0);
}
END_TEST

/* ---- another format ---- */

START_TEST(a_change_of_format_loses_nothing) {
    remote = start_writer();
    reader = open_reader((enum shmframe_policy)_i, 4);
    tell(&remote, ORDER_PUBLISH, 4);
    tell(&remote, ORDER_SET_FORMAT, 0);
    tell(&remote, ORDER_PUBLISH, 4);
    for (uint64_t i = 1; i <= 4; i++)
        expect_frame(i, 0, 0);
    ck_assert_str_eq(shmframe_reader_format(reader)->data.type, "test");
    expect_frame(5, SHMFRAME_LEASE_NEW_FORMAT, 0);
    ck_assert_str_eq(shmframe_reader_format(reader)->data.type, "other");
    for (uint64_t i = 6; i <= 8; i++)
        expect_frame(i, 0, 0);
    world_expect_event(reader, SHMFRAME_FORMAT);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.formats, 1);
    ck_assert_uint_eq(counters.restarts, 0);
    expect_losses(0, 0);
}
END_TEST

START_TEST(a_reader_follows_two_changes_of_format_in_a_row) {
    const bool has_frames_between = _i;
    struct shmframe_writer *writer = world_open_writer("s");
    reader = open_reader(SHMFRAME_IN_ORDER, 4);
    struct shmframe_format first, second;
    ck_assert_int_eq(shmframe_format_data(&first, "first", 64), 0);
    ck_assert_int_eq(shmframe_format_data(&second, "second", 128), 0);
    uint64_t sequence = world_publish(writer, 1);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &first, world_deadline()), 0);
    if (has_frames_between)
        sequence = world_publish(writer, 2);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &second, world_deadline()), 0);
    world_publish(writer, 3);
    expect_frame(1, 0, 0);
    if (has_frames_between)
        expect_frame(2, SHMFRAME_LEASE_NEW_FORMAT, 0);
    expect_frame(sequence + 1, SHMFRAME_LEASE_NEW_FORMAT, 0);
    ck_assert_str_eq(shmframe_reader_format(reader)->data.type, "second");
    world_expect_event(reader, SHMFRAME_FORMAT);
    world_expect_event(reader, SHMFRAME_FORMAT);
    expect_losses(0, 0);
    shmframe_reader_close(reader);
    reader = NULL;
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_new_ring_of_the_same_format_is_no_news) {
    struct shmframe_writer *writer = world_open_writer("s");
    reader = open_reader(SHMFRAME_LOSSLESS, 4);
    struct shmframe_format same = *shmframe_writer_format(writer);
    world_publish(writer, 1);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &same, world_deadline()), 0);
    world_publish(writer, 2);
    expect_frame(1, 0, 0);
    expect_frame(2, 0, 0);
    struct shmframe_reader_event event;
    ck_assert_int_eq(shmframe_reader_next_event(reader, &event), -EAGAIN);
    shmframe_reader_close(reader);
    reader = NULL;
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_writer_that_dies_after_a_change_of_format_is_told_once_both_are_read) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 4);
    tell(&remote, ORDER_PUBLISH, 2);
    tell(&remote, ORDER_SET_FORMAT, 0);
    tell(&remote, ORDER_PUBLISH, 2);
    kill_remote(&remote);
    remote = start_writer();
    tell(&remote, ORDER_PUBLISH, 1);
    expect_frame(1, 0, 0);
    expect_frame(2, 0, 0);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_uint_eq(lease.frame.sequence, 3);
    ck_assert(lease.flags & SHMFRAME_LEASE_NEW_FORMAT);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    expect_frame(4, 0, 0);
    expect_frame(5, SHMFRAME_LEASE_RESTARTED | SHMFRAME_LEASE_NEW_FORMAT, 0);
    expect_losses(0, 0);
}
END_TEST

/* ---- another supervisor ---- */

static enum shmframe_policy child_policy;
static uint32_t child_leases;

static void read_and_hold(void) {
    world.session = world_open_session();
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .name = "child",
                                                  .policy = child_policy,
                                                  .depth = 6,
                                                  .leases = child_leases,
                                                  .deadline_ns = world_deadline()};
    if (shmframe_reader_open(world.session, &params, &reader) < 0)
        _exit(3);
    world_tell();
    struct shmframe_lease lease;
    for (uint32_t i = 0; i < child_leases; i++)
        if (shmframe_reader_acquire(reader, world_deadline(), &lease) < 0)
            _exit(4);
    world_tell();
    for (;;) {
        shmframe_session_dispatch(world.session);
        world_expect_readable(shmframe_session_fd(world.session));
    }
}

static pid_t start_reader(enum shmframe_policy policy, uint32_t leases) {
    child_policy = policy;
    child_leases = leases;
    const pid_t pid = world_fork(read_and_hold);
    world_await();
    return pid;
}

START_TEST(the_slots_of_a_reader_that_died_without_a_supervisor_come_back) {
    enum { LEASES = 6, ENOUGH = 100 };
    remote = start_writer();
    const pid_t pid = start_reader(SHMFRAME_IN_ORDER, LEASES);
    await_number(ORDER_COUNT_JOINED, 1);
    tell(&remote, ORDER_PUBLISH, LEASES);
    world_await();
    tell(&remote, ORDER_PUBLISH, ENOUGH);
    const uint64_t while_held = tell(&remote, ORDER_PUBLISH, ENOUGH).slots;
    world_kill_supervisor();
    world_kill(pid);
    world_await_connected(false);
    /* Nobody has told the writer. */
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, ENOUGH).slots, while_held);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    await_number(ORDER_COUNT_LEFT, 1);
    await_number(ORDER_COUNT_READERS, 0);
    tell(&remote, ORDER_PUBLISH, ENOUGH);
    /* The lowest free slot is lent first: what was held is among them, and fewer do. */
    const uint64_t after = tell(&remote, ORDER_PUBLISH, ENOUGH).slots;
    ck_assert_uint_ne(after & ~while_held, 0);
    ck_assert_int_lt(__builtin_popcountll(after), LEASES);
}
END_TEST

START_TEST(a_lossless_reader_that_died_without_a_supervisor_holds_nobody_up) {
    remote = start_writer();
    const pid_t pid = start_reader(SHMFRAME_LOSSLESS, 1);
    await_number(ORDER_COUNT_JOINED, 1);
    tell(&remote, ORDER_PUBLISH, 4);
    world_await();
    world_kill_supervisor();
    world_kill(pid);
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    /* Waits for the reader until somebody finds out. */
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, 40).number, 44);
    await_number(ORDER_COUNT_LEFT, 1);
}
END_TEST

START_TEST(a_reader_may_join_a_writer_that_only_takes_events_after_a_restart) {
    remote = start_writer();
    tell(&remote, ORDER_PUBLISH, 3);
    restart_supervisor();
    reader = open_reader((enum shmframe_policy)_i, 4);
    await_number(ORDER_COUNT_READERS, 1);
    tell(&remote, ORDER_PUBLISH, 1);
    if (_i == SHMFRAME_IN_ORDER)
        expect_frame(3, 0, 0);
    expect_frame(4, 0, 0);
}
END_TEST

/* So many readers have come back to the supervisor. */
static void await_listed(int count) {
    const int64_t deadline_ns = world_deadline();
    struct shmframe_reader_info info[8];
    int listed;
    while ((listed = shmframe_session_readers(world.session, "s", deadline_ns, info, 8)) != count) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%d readers are listed", listed);
        poll(NULL, 0, 1);
    }
}

START_TEST(readers_are_counted_as_before_a_restart) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 4);
    const pid_t pid = start_reader(SHMFRAME_LATEST, 0);
    world_await();
    await_number(ORDER_COUNT_JOINED, 2);
    await_number(ORDER_COUNT_READERS, 2);
    restart_supervisor();
    await_writer();
    await_number(ORDER_COUNT_READERS, 2);
    tell(&remote, ORDER_PUBLISH, 1);
    expect_frame(1, 0, 0);
    await_listed(2);
    /* One of the same name is another one. */
    struct shmframe_reader *second = open_reader(SHMFRAME_LATEST, 0);
    await_number(ORDER_COUNT_JOINED, 3);
    shmframe_reader_close(second);
    await_number(ORDER_COUNT_LEFT, 1);
    /* Who gets a link to another ring, under a new number, has not joined again. */
    tell(&remote, ORDER_SET_FORMAT, 0);
    tell(&remote, ORDER_PUBLISH, 1);
    expect_frame(2, SHMFRAME_LEASE_NEW_FORMAT, 0);
    world_kill(pid);
    await_number(ORDER_COUNT_READERS, 1);
    await_number(ORDER_COUNT_LEFT, 2);
    ck_assert_uint_eq(tell(&remote, ORDER_COUNT_JOINED, 0).number, 3);
}
END_TEST

START_TEST(requests_and_lists_work_again_after_a_restart) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 4);
    tell(&remote, ORDER_PUBLISH, 2);
    restart_supervisor();
    await_writer();
    const int64_t deadline_ns = world_deadline();
    struct shmframe_stream_info info = {0};
    ck_assert_int_eq(shmframe_session_streams(world.session, deadline_ns, &info, 1), 1);
    ck_assert_str_eq(info.name, "s");
    ck_assert_uint_eq(info.state, SHMFRAME_STREAM_LIVE);
    ck_assert_int_eq(info.writer_pid, remote.pid);
    ck_assert_uint_eq(info.generation, 1);
    ck_assert_uint_eq(info.head, 2);
    ck_assert_uint_eq(info.readers, 1);
    struct shmframe_reader_info of_reader = {0};
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", deadline_ns, &of_reader, 1), 1);
    ck_assert_int_eq(of_reader.pid, getpid());
    ck_assert_uint_eq(of_reader.generation, 1);
    struct shmframe_record *record;
    ck_assert_int_eq(
        shmframe_record_open(world.session, "s", of_reader.number, deadline_ns, &record), 0);
    shmframe_record_close(record);
}
END_TEST

START_TEST(who_was_evicted_stays_evicted_after_a_restart) {
    const bool has_heard = _i & 1, has_writer_come_back = _i & 2;
    remote = start_writer();
    reader = open_reader(SHMFRAME_LOSSLESS, 4);
    await_number(ORDER_COUNT_READERS, 1);
    struct shmframe_reader_info info = {0};
    const int64_t deadline_ns = world_deadline();
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", deadline_ns, &info, 1), 1);
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", info.number, deadline_ns), 0);
    struct shmframe_lease lease;
    if (has_heard)
        ck_assert_int_eq(shmframe_reader_acquire(reader, deadline_ns, &lease), -ESTALE);
    if (!has_writer_come_back)
        kill_remote(&remote);
    restart_supervisor();
    if (has_writer_come_back) {
        await_writer();
        tell(&remote, ORDER_PUBLISH, 20); /* nobody holds it up */
        await_number(ORDER_COUNT_READERS, 0);
        kill_remote(&remote);
    }
    /* Nor does a new writer wait for it. */
    remote = start_writer();
    tell(&remote, ORDER_PUBLISH, 20);
    ck_assert_uint_eq(tell(&remote, ORDER_COUNT_READERS, 0).number, 0);
    for (unsigned i = 0; i < 2; i++)
        expect_error(shmframe_reader_acquire(reader, deadline_ns, &lease), -ESTALE, "'s'");
    world_expect_event(reader, SHMFRAME_EVICTED);
}
END_TEST

/* ---- both ---- */

START_TEST(sequences_go_on_though_writer_and_supervisor_died) {
    const bool is_supervisor_first = _i;
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 8);
    tell(&remote, ORDER_PUBLISH, 6);
    for (uint64_t i = 1; i <= 6; i++)
        expect_frame(i, 0, 0);
    if (is_supervisor_first)
        world_kill_supervisor();
    tell(&remote, ORDER_PUBLISH, 4);
    kill_remote(&remote);
    if (!is_supervisor_first)
        world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    remote = start_writer();
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, 1).number, 11);
    for (uint64_t i = 7; i <= 10; i++)
        expect_frame(i, 0, 0);
    expect_frame(11, SHMFRAME_LEASE_RESTARTED, 0);
    world_expect_event(reader, SHMFRAME_WRITER_GONE);
    world_expect_event(reader, SHMFRAME_RESTARTED);
    expect_losses(0, 0);
}
END_TEST

/* The newest ring has no frame, and the one before has one that came after it, and nobody has read.
 */
START_TEST(sequences_go_on_though_both_died_in_a_change_of_format) {
    const unsigned changes = (unsigned)_i;
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 8);
    tell(&remote, ORDER_PUBLISH, 6);
    for (uint64_t i = 1; i <= 6; i++)
        expect_frame(i, 0, 0);
    ck_assert_uint_eq(tell(&remote, ORDER_CHANGE_UNDER_A_LOAN, changes).number, 7);
    ck_assert_int_eq(shmframe_session_dispatch(world.session), 0); /* the newest ring's link */
    kill_remote(&remote);
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    remote = start_writer();
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, 1).number, 8);
    expect_frame(7, 0, 0);
    expect_frame(8, SHMFRAME_LEASE_RESTARTED | SHMFRAME_LEASE_NEW_FORMAT, 0);
}
END_TEST

/* The supervisor lives, and keeps no more rings than a reader would show it. */
START_TEST(sequences_go_on_though_the_writer_died_in_a_change_of_format) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_IN_ORDER, 8);
    tell(&remote, ORDER_PUBLISH, 6);
    for (uint64_t i = 1; i <= 6; i++)
        expect_frame(i, 0, 0);
    ck_assert_uint_eq(tell(&remote, ORDER_CHANGE_UNDER_A_LOAN, (uint64_t)_i).number, 7);
    kill_remote(&remote);
    remote = start_writer();
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, 1).number, 8);
    expect_frame(7, 0, 0);
    expect_frame(8, SHMFRAME_LEASE_RESTARTED | SHMFRAME_LEASE_NEW_FORMAT, 0);
}
END_TEST

START_TEST(a_writer_that_came_meanwhile_waits_for_the_supervisor) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_LOSSLESS, 4);
    tell(&remote, ORDER_PUBLISH, 1);
    expect_frame(1, 0, 0);
    restart_supervisor();
    kill_remote(&remote);
    remote = start_writer();
    ck_assert_uint_eq(tell(&remote, ORDER_PUBLISH, 1).number, 2);
    expect_frame(2, SHMFRAME_LEASE_RESTARTED, 0);
}
END_TEST

START_TEST(a_format_can_be_changed_after_a_restart) {
    remote = start_writer();
    reader = open_reader(SHMFRAME_LOSSLESS, 4);
    tell(&remote, ORDER_PUBLISH, 2);
    restart_supervisor();
    tell(&remote, ORDER_SET_FORMAT, 0);
    tell(&remote, ORDER_PUBLISH, 2);
    expect_frame(1, 0, 0);
    expect_frame(2, 0, 0);
    expect_frame(3, SHMFRAME_LEASE_NEW_FORMAT, 0);
    expect_frame(4, 0, 0);
    expect_losses(0, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("restart");
    TCase *tests = tcase_create("restart");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, the_next_writer_goes_on_where_a_killed_one_stopped, SHMFRAME_LATEST,
                        SHMFRAME_LOSSLESS + 1);
    tcase_add_loop_test(tests, what_a_dead_writer_published_is_delivered_first, SHMFRAME_IN_ORDER,
                        SHMFRAME_LOSSLESS + 1);
    tcase_add_test(tests, frames_of_a_dead_writer_that_came_too_fast_are_lost_late);
    tcase_add_test(tests,
                   frames_of_a_ring_that_the_reader_was_not_linked_to_are_lost_by_the_restart);
    tcase_add_test(tests, a_lease_outlives_its_writer_and_the_next_one);
    tcase_add_loop_test(tests, a_change_of_format_loses_nothing, SHMFRAME_IN_ORDER,
                        SHMFRAME_LOSSLESS + 1);
    tcase_add_loop_test(tests, a_reader_follows_two_changes_of_format_in_a_row, 0, 2);
    tcase_add_test(tests, a_new_ring_of_the_same_format_is_no_news);
    tcase_add_test(tests, a_writer_that_dies_after_a_change_of_format_is_told_once_both_are_read);
    tcase_add_test(tests, the_slots_of_a_reader_that_died_without_a_supervisor_come_back);
    tcase_add_test(tests, a_lossless_reader_that_died_without_a_supervisor_holds_nobody_up);
    tcase_add_loop_test(tests, a_reader_may_join_a_writer_that_only_takes_events_after_a_restart,
                        SHMFRAME_LATEST, SHMFRAME_LOSSLESS + 1);
    tcase_add_test(tests, readers_are_counted_as_before_a_restart);
    tcase_add_test(tests, requests_and_lists_work_again_after_a_restart);
    tcase_add_loop_test(tests, who_was_evicted_stays_evicted_after_a_restart, 0, 4);
    tcase_add_loop_test(tests, sequences_go_on_though_writer_and_supervisor_died, 0, 2);
    tcase_add_loop_test(tests, sequences_go_on_though_both_died_in_a_change_of_format, 1, 7);
    tcase_add_loop_test(tests, sequences_go_on_though_the_writer_died_in_a_change_of_format, 1, 7);
    tcase_add_test(tests, a_writer_that_came_meanwhile_waits_for_the_supervisor);
    tcase_add_test(tests, a_format_can_be_changed_after_a_restart);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
