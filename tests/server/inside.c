/* What a supervisor decides whose loop and clock are the test's own: what takes it minutes takes no
 * time here. */
#include "peer.h"

#include "closer.h"
#include "limits.h"
#include "protect.h"
#include "quota.h"
#include "record.h"
#include "server.h"
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

enum { STRANGER = 12345, VICTIM = 12346 };
enum { ENTRY = 20, SERIAL = 7, PATIENT_TICKS = BACK_IN_PART_NS / TICK_NS };

static struct server server;
static uint64_t loop_turn;
static struct supervisor place; /* only where it is */
static struct peer writer, other;
static struct test_ring ring;

int __wrap_sd_event_get_iteration(sd_event *event, uint64_t *out_turn);

int __wrap_sd_event_get_iteration(sd_event *event, uint64_t *out_turn) {
    (void)event;
    *out_turn = loop_turn;
    return 0;
}

static int64_t ahead_ns; /* of the clock */

int64_t __real_shmframe_now_ns(void);
int64_t __wrap_shmframe_now_ns(void);

int64_t __wrap_shmframe_now_ns(void) {
    return __real_shmframe_now_ns() + ahead_ns;
}

/* All that there is to do now, and what follows from it. */
static void turn(void) {
    do
        loop_turn++;
    while (sd_event_run(server.event, 0) > 0);
}

static void begin(void) {
    static struct server_params params = {
        .ready_fd = -1, .socket = place.socket, .settings_path = ""};
    settings_init(&params.settings, UINT64_C(1) << 34);
    strcpy(place.folder, "/tmp/shmframed-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place.folder));
    snprintf(place.socket, sizeof(place.socket), "%s/socket", place.folder);
    log_set_level(LOG_TROUBLE);
    ck_assert_int_eq(server_open(&server, &params), 0);
    ring_make(&ring, "test", 16);
}

static void end(void) {
    peer_vanish(&writer);
    peer_vanish(&other);
    ring_drop(&ring);
    listener_close(&server.listener);
    supervisor_clean(&place);
}

static void open_peer(struct peer *peer) {
    *peer = (struct peer){.socket = peer_connect(&place)};
    peer_send_hello(peer, "peer");
    turn();
    peer_expect_welcome(peer);
}

static void read_all(struct peer *peer) {
    struct pollfd polled = {.fd = peer->socket, .events = POLLIN};
    struct channel_mail mail;
    while (poll(&polled, 1, 0) == 1 && channel_receive(peer->socket, &mail) == 0)
        channel_close_fds(&mail);
}

/* Comes back with a link that a reader of the process had, and has not told of. */
static void tell_of_link_of(pid_t pid, uint32_t depth) {
    const struct ring_options options = {
        .held = 1, .flags = MESSAGE_RESYNC, .generation = 1, .sequence = 70};
    const struct grant grant = {
        .serial = SERIAL, .depth = depth, .leases = 1, .state = ENTRY_GRANTED};
    union message held;
    peer_send_ring(&writer, &ring, "test", &options);
    message_init(&held, MESSAGE_HELD_LINK, 0);
    held.held_link.generation = 1;
    held.held_link.entry = ENTRY;
    held.held_link.word = grant_word(grant);
    held.held_link.pid = (uint32_t)pid;
    held.held_link.start_time = (uint64_t)start_time_of(pid);
    peer_send(&writer, &held, NULL);
    turn();
}

static void tell_of_link(uint32_t depth) {
    tell_of_link_of(getpid(), depth);
}

static void return_writer(void) {
    open_peer(&writer);
    tell_of_link(1);
}

static bool is_held(void) {
    return (peer_entry(&writer, ENTRY) & 3) == ENTRY_GRANTED;
}

/* In how many ticks the link ends, while the writer's session reads what comes. */
static unsigned count_ticks(unsigned most) {
    unsigned ticks = 0;
    while (is_held() && ticks < most) {
        loop_turn++;
        stream_link_end_held(TAILQ_FIRST(&server.streams), NULL);
        read_all(&writer);
        ticks++;
    }
    return ticks;
}

static bool has_mail(const struct peer *peer) {
    struct pollfd polled = {.fd = peer->socket, .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

/* All that follows from its last link has been done: what is not there now does not come. */
START_TEST(who_waits_for_a_stream_is_linked_before_its_writer_hears_that_it_is_open) {
    struct channel_mail mail;
    open_peer(&other);
    peer_send_reader(&other, "test", &(struct reader_options){.reader = 1});
    open_peer(&writer);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    turn();
    ck_assert_msg(has_mail(&writer), "the writer hears neither of its reader nor of its ring");
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    ck_assert_msg(has_mail(&writer), "the writer does not hear that its ring is open");
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    peer_expect(&other, MESSAGE_READER_OK, &mail);
    ck_assert_msg(has_mail(&other), "the reader has no link");
    peer_expect_link(&other);
}
END_TEST

/* Its memory may be another's by the time of the answer. */
START_TEST(who_asked_and_is_gone_is_not_kept_for_the_answer) {
    union message ask;
    open_peer(&writer);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    turn();
    open_peer(&other);
    message_init(&ask, MESSAGE_REQUEST, 1);
    strcpy(ask.request.stream, "test");
    strcpy(ask.request.verb, "pause");
    peer_send(&other, &ask, NULL);
    turn();
    const struct stream_request *request =
        TAILQ_FIRST(&TAILQ_FIRST(&server.streams)->writer->requests);
    ck_assert_ptr_nonnull(request->asker);
    peer_vanish(&other);
    turn();
    ck_assert_ptr_null(request->asker);
}
END_TEST

START_TEST(a_link_whose_process_is_back_without_it_ends_soon) {
    return_writer();
    ck_assert_uint_le(count_ticks(PATIENT_TICKS), BACK_NS / TICK_NS + 2);
    ck_assert(!is_held());
}
END_TEST

/* Its session may get no turn for long, and still claim it; not while another goes on for ever. */
START_TEST(a_session_that_never_reads_keeps_its_links_of_its_process_for_a_minute) {
    open_peer(&other);
    return_writer();
    const unsigned ticks = count_ticks(2 * PATIENT_TICKS);
    ck_assert_uint_ge(ticks, PATIENT_TICKS);
    ck_assert_uint_le(ticks, PATIENT_TICKS + 2);
}
END_TEST

static bool is_stopped;

bool __wrap_process_may_be_stopped(struct process *process);
bool __real_process_may_be_stopped(struct process *process);

bool __wrap_process_may_be_stopped(struct process *process) {
    (void)process;
    return is_stopped;
}

/* By a debugger, after one of its sessions has come back: the others had no turn. */
START_TEST(a_process_that_is_stopped_keeps_its_links) {
    if (_i)
        open_peer(&other);
    return_writer();
    is_stopped = true;
    ck_assert_uint_eq(count_ticks(3 * PATIENT_TICKS), 3 * PATIENT_TICKS);
    is_stopped = false;
    count_ticks(PATIENT_TICKS + 2);
    ck_assert(!is_held());
}
END_TEST

/* It has all its time when it goes on, and not what was left when it was stopped. */
START_TEST(time_in_which_a_process_is_stopped_does_not_count) {
    const unsigned ticks = BACK_NS / TICK_NS;
    return_writer();
    is_stopped = true;
    ck_assert_uint_eq(count_ticks(ticks - 1), ticks - 1);
    is_stopped = false;
    ck_assert_uint_eq(count_ticks(ticks - 1), ticks - 1);
    for (unsigned i = 0; i < ticks; i++) {
        is_stopped = true;
        ck_assert_uint_eq(count_ticks(ticks), ticks);
    }
    is_stopped = false;
    count_ticks(2);
    ck_assert(!is_held());
}
END_TEST

/* What it has to tell is more than the socket takes at once: it reads on before all is sent. */
START_TEST(who_tells_of_something_may_tell_of_more) {
    open_peer(&other);
    return_writer();
    ck_assert_uint_eq(count_ticks(1), 1);
    read_all(&other);
    peer_send_reader(&other, "wider",
                     &(struct reader_options){.reader = 1, .flags = MESSAGE_RESYNC});
    turn();
    count_ticks(2 * BACK_NS / TICK_NS);
    ck_assert(is_held());
    read_all(&other);
    count_ticks(BACK_NS / TICK_NS + 2);
    ck_assert(!is_held());
}
END_TEST

/* It tells of a link to a later ring, which never came to be, and reads by this one: until it is
 * evicted. */
START_TEST(a_link_is_not_kept_for_a_reader_that_is_evicted) {
    const struct reader_options later = {.reader = 1, .flags = MESSAGE_RESYNC, .generation = 2};
    union message evict;
    open_peer(&other);
    peer_send_reader(&other, "test", &later);
    turn();
    return_writer();
    read_all(&other);
    count_ticks(2 * BACK_NS / TICK_NS);
    ck_assert(is_held());
    message_init(&evict, MESSAGE_EVICT, 1);
    strcpy(evict.reader_of.stream, "test");
    evict.reader_of.number = 1;
    peer_send(&writer, &evict, NULL);
    turn();
    count_ticks(1);
    read_all(&other);
    count_ticks(BACK_NS / TICK_NS + 2);
    ck_assert(!is_held());
}
END_TEST

/* As it is where all of it are stopped. */
START_TEST(a_process_of_which_no_session_reads_keeps_its_links) {
    return_writer();
    for (unsigned i = 0; i < 2 * PATIENT_TICKS; i++) {
        loop_turn++;
        stream_link_end_held(TAILQ_FIRST(&server.streams), NULL);
    }
    ck_assert(is_held());
}
END_TEST

/* They are not here before they have said who they are. */
START_TEST(connections_that_say_nothing_keep_no_link) {
    return_writer();
    other = (struct peer){.socket = peer_connect(&place)};
    turn();
    ck_assert_uint_le(count_ticks(PATIENT_TICKS), BACK_NS / TICK_NS + 2);
}
END_TEST

/* ---- what is decided while a session may be starved ---- */

/* Said HELLO so long ago. */
static void make_older(int64_t age_ns) {
    struct client *client;
    TAILQ_FOREACH (client, &server.clients, all)
        client->hello_ns -= age_ns;
}

/* The former supervisor knew readers of a process, which alone can tell how far streams came. */
static void load_names_of(pid_t pid, unsigned streams, unsigned readers) {
    char path[128];
    snprintf(path, sizeof(path), "%s.names", place.socket);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "shmframe-names 3\n");
    for (unsigned i = 0; i < streams; i++) {
        char name[16] = "test";
        if (i > 0)
            snprintf(name, sizeof(name), "test%u", i);
        fprintf(file, "%s 1 1 5 0 0 1\n", name);
        for (unsigned k = 0; k < readers; k++)
            fprintf(file, "=%u 0 %d %lld %s\n", i * readers + k + 1, (int)pid,
                    (long long)start_time_of(pid), name);
    }
    ck_assert_int_eq(fclose(file), 0);
    names_load(&server);
    ck_assert_uint_eq(server.former_readers, streams * readers);
}

/* One reader of this process, of `test`. */
static void load_names(void) {
    load_names_of(getpid(), 1, 1);
}

static bool is_waited_for(const struct stream *stream) {
    loop_turn++;
    return names_await_reader(stream);
}

START_TEST(a_next_writer_waits_for_a_session_that_has_not_read_yet) {
    load_names();
    const struct stream *stream = TAILQ_FIRST(&server.streams);
    open_peer(&other);
    make_older(2 * GRACE_NS);
    server.started_ns = shmframe_now_ns() + FOLLOWERS_NS; /* it is not waited for for ever */
    for (unsigned i = 0; i < 3; i++)
        ck_assert(is_waited_for(stream));
    server.started_ns -= 3 * FOLLOWERS_NS;
    ck_assert(!is_waited_for(stream));
    server.started_ns += 3 * FOLLOWERS_NS;
    read_all(&other);
    ck_assert(!is_waited_for(stream));
}
END_TEST

START_TEST(a_next_writer_waits_for_a_session_beside_one_that_is_just_back) {
    load_names();
    const struct stream *stream = TAILQ_FIRST(&server.streams);
    open_peer(&other);
    server.started_ns = shmframe_now_ns() + FOLLOWERS_NS; /* it is not waited for for ever */
    make_older(-FOLLOWERS_NS);                            /* however slow the machine is */
    ck_assert(is_waited_for(stream)); /* and asks it whether it has read so far */
    read_all(&other);
    ck_assert(is_waited_for(stream));
    make_older(FOLLOWERS_NS + 2 * GRACE_NS);
    ck_assert(!is_waited_for(stream));
}
END_TEST

/* Looks for those who were there under the former supervisor. */
static bool is_awaited(void) {
    server.started_ns = shmframe_now_ns() - 2 * GRACE_NS; /* nor is it here */
    loop_turn++;
    watch_finish(&server);
    return journal_absent_source(&server, NULL) != NULL;
}

/* A reader of `pid` was there: as long as its source is not given back, by this supervisor's word.
 */
static struct journal_source *add_absent(uint32_t number, pid_t pid) {
    const struct journal_source wanted = {.id = 4 + number,
                                          .pid = (int32_t)pid,
                                          .start_time = (uint64_t)start_time_of(pid),
                                          .kind = JOURNAL_READER,
                                          .number = number,
                                          .stream = "test"};
    struct journal_source *source = journal_take_source(&server, &wanted);
    journal_set_mark(&server, source, &(struct journal_mark){.is_present = true});
    server.watch->has_absent = true;
    return source;
}

START_TEST(a_reader_has_not_left_while_its_session_has_not_read_yet) {
    journal_give_source(&server, add_absent(1, getpid()));
    open_peer(&other);
    make_older(2 * BACK_NS);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(is_awaited());
    read_all(&other);
    ck_assert(!is_awaited());
}
END_TEST

static unsigned looks, looks_at_uid;
static const char *unseen = ""; /* what cannot be looked at */

ssize_t __real_proc_read(pid_t pid, const char *name, char *out, size_t bytes);
ssize_t __wrap_proc_read(pid_t pid, const char *name, char *out, size_t bytes);

ssize_t __wrap_proc_read(pid_t pid, const char *name, char *out, size_t bytes) {
    looks += strcmp(name, "stat") == 0;
    looks_at_uid += strcmp(name, "status") == 0;
    if (strcmp(name, unseen) == 0)
        return -EBUSY;
    return __real_proc_read(pid, name, out, bytes);
}

static pid_t fork_sleeper(void) {
    const pid_t child = fork_bound();
    if (child == 0)
        for (;;)
            pause();
    return child;
}

static void end_sleeper(pid_t child) {
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(a_process_is_looked_up_once_for_all_its_readers) {
    const pid_t child = fork_sleeper();
    struct journal_source *one = add_absent(1, child);
    journal_give_source(&server, add_absent(2, child));
    journal_give_source(&server, one);
    ck_assert(is_awaited());
    ck_assert_uint_eq(looks, 1);
    ck_assert_uint_eq(looks_at_uid, 0);
    end_sleeper(child);
}
END_TEST

/* He hangs as he runs a program: that is not the writer's trouble. */
START_TEST(a_holder_that_cannot_be_looked_at_keeps_his_link) {
    const pid_t child = fork_sleeper();
    open_peer(&writer);
    unseen = _i ? "stat" : "status";
    tell_of_link_of(child, 1);
    ck_assert_ptr_nonnull(TAILQ_FIRST(&server.streams)->writer);
    ck_assert_uint_eq(count_ticks(PATIENT_TICKS), PATIENT_TICKS);
    unseen = "";
    ck_assert_uint_eq(count_ticks(PATIENT_TICKS), PATIENT_TICKS);
    end_sleeper(child);
    turn();
    count_ticks(1);
    ck_assert(!is_held());
}
END_TEST

enum { STREAMS = 40, READERS_EACH = 50 };

static unsigned returns_looked_at;

bool __real_client_has_returned(struct client *client);
bool __wrap_client_has_returned(struct client *client);

bool __wrap_client_has_returned(struct client *client) {
    returns_looked_at++;
    return __real_client_has_returned(client);
}

/* Its session is back, and none of its readers. */
START_TEST(a_session_is_looked_at_once_for_all_lines_of_the_names) {
    load_names_of(getpid(), STREAMS, READERS_EACH);
    open_peer(&other);
    make_older(2 * GRACE_NS);
    server.started_ns = shmframe_now_ns() - 2 * GRACE_NS;
    const struct stream *stream = TAILQ_FIRST(&server.streams);
    ck_assert(is_waited_for(stream));
    read_all(&other);
    returns_looked_at = 0;
    server.started_ns = shmframe_now_ns() - 2 * GRACE_NS;
    ck_assert(!is_waited_for(stream));
    names_save(&server);
    ck_assert_uint_eq(returns_looked_at, 1);
}
END_TEST

/* It has no session: while it lives it may come back, for so long. */
START_TEST(a_process_is_looked_up_once_for_all_lines_of_the_names) {
    const pid_t child = fork_sleeper();
    load_names_of(child, STREAMS, READERS_EACH);
    server.started_ns = shmframe_now_ns() - 2 * GRACE_NS;
    for (unsigned i = 0; i < 3; i++) {
        names_save(&server);
        ck_assert(is_waited_for(TAILQ_FIRST(&server.streams)));
    }
    ck_assert_uint_eq(looks, 1);
    ck_assert_uint_eq(looks_at_uid, 0);
    if (_i) {
        server.started_ns = shmframe_now_ns() - 2 * FOLLOWERS_NS;
        names_end_return(&server);
    }
    end_sleeper(child);
    turn();
    ck_assert(!is_waited_for(TAILQ_FIRST(&server.streams)));
    ck_assert(TAILQ_EMPTY(&server.processes));
}
END_TEST

/* ---- who is stopped ---- */

static char group[64];
static bool has_group;

/* A control group of version 2. False: there can be none. */
static bool make_group(void) {
    const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    char path[96];
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
        snprintf(group, sizeof(group), "%s/shmframe-test-XXXXXX", roots[i]);
        if (access(path, W_OK) < 0 || !mkdtemp(group))
            continue;
        snprintf(path, sizeof(path), "%s/cgroup.freeze", group);
        if (access(path, W_OK) == 0)
            return true;
        rmdir(group);
    }
    return false;
}

/* Once nobody has the other end any more. */
static void remove_group(int fd) {
    char byte;
    setsid(); /* not with the test */
    while (read(fd, &byte, 1) < 0 && errno == EINTR) {
    }
    for (unsigned i = 0; i < 1000 && rmdir(group) < 0; i++)
        usleep(10000);
    _exit(0);
}

/* The supervisor drops what is needed to make a group, and to remove it. */
static void begin_with_group(void) {
    int ends[2];
    has_group = make_group();
    if (has_group) {
        ck_assert_int_eq(pipe(ends), 0);
        if (fork() == 0) {
            close(ends[1]);
            remove_group(ends[0]);
        }
        close(ends[0]);
    }
    begin();
}

static bool tell_group(const char *name, int word) {
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", group, name);
    FILE *file = fopen(path, "we");
    if (!file)
        return false;
    fprintf(file, "%d\n", word);
    return fclose(file) == 0;
}

/* Whether it comes to be, or no more to be, stopped. */
static bool comes_to_be(struct process *process, bool is_to_be_stopped) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(20000000000));
    for (;;) {
        loop_turn++;
        if (process_is_stopped(process) == is_to_be_stopped)
            return true;
        if (shmframe_now_ns() > deadline_ns)
            return false;
        poll(NULL, 0, 5);
    }
}

static bool may_come_to_be(struct process *process) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(20000000000));
    do {
        loop_turn++;
        if (__real_process_may_be_stopped(process))
            return true;
    } while (shmframe_now_ns() < deadline_ns && poll(NULL, 0, 5) == 0);
    return false;
}

START_TEST(a_process_is_stopped_by_a_signal_or_with_its_group) {
    struct process *process;
    const pid_t child = fork_sleeper();
    ck_assert_int_eq(process_find(&server, child, (uint64_t)start_time_of(child), &process), 0);
    ck_assert(comes_to_be(process, false));
    ck_assert(kill(child, SIGSTOP) == 0 && comes_to_be(process, true));
    ck_assert(kill(child, SIGCONT) == 0 && comes_to_be(process, false));
    if (has_group) {
        ck_assert(tell_group("cgroup.procs", (int)child) && comes_to_be(process, false));
        ck_assert(tell_group("cgroup.freeze", 1) && comes_to_be(process, true));
        ck_assert(tell_group("cgroup.freeze", 0) && comes_to_be(process, false));
    }
    end_sleeper(child);
}
END_TEST

START_TEST(a_process_that_cannot_be_looked_at_may_be_stopped) {
    struct process *process;
    const pid_t child = fork_sleeper();
    ck_assert_int_eq(process_find(&server, child, (uint64_t)start_time_of(child), &process), 0);
    ck_assert(kill(child, SIGSTOP) == 0 && comes_to_be(process, true));
    ck_assert(kill(child, SIGCONT) == 0 && comes_to_be(process, false));
    unseen = "stat";
    loop_turn++;
    ck_assert(!process_is_stopped(process));
    ck_assert(__real_process_may_be_stopped(process));
    unseen = "cgroup"; /* which is looked at while it sleeps */
    ck_assert(may_come_to_be(process));
    unseen = "";
    loop_turn++;
    ck_assert(!__real_process_may_be_stopped(process));
    end_sleeper(child);
}
END_TEST

/* ---- who does not come ---- */

static bool is_hang_told_after(int64_t ns) {
    ahead_ns += ns;
    watch_finish(&server);
    const struct stream *stream = TAILQ_FIRST(&server.streams);
    return TAILQ_FIRST(&stream->readers)->watch.source->mark.sleep_ns != 0;
}

/* Nothing ran, for a minute, nor did who looks: who was woken just before has had no time. */
START_TEST(a_machine_that_stands_still_hangs_nobody) {
    const int64_t limit_ns = INT64_C(1000000000), look_ns = limit_ns / 4;
    struct record record;
    ck_assert_int_eq(record_create(&record), 0);
    open_peer(&writer);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 2});
    turn();
    open_peer(&other);
    peer_send_reader(&other, "test", &(struct reader_options){.reader = 1, .record = record.fd});
    turn();
    const int64_t now_ns = shmframe_now_ns();
    record.page->state.doing = (uint64_t)(now_ns - 2) << 2 | SHMFRAME_DOING_ASLEEP;
    ring.memory->ledger.publish_ns = now_ns - 1;
    ck_assert(!is_hang_told_after(look_ns));
    ck_assert(!is_hang_told_after(limit_ns)); /* it is woken */
    ck_assert(!is_hang_told_after(INT64_C(60000000000)));
    ck_assert(is_hang_told_after(look_ns) || is_hang_told_after(look_ns));
    record_destroy(&record);
}
END_TEST

/* ---- what a writer tells of whom nobody trusts ---- */

static struct client *open_as(struct peer *peer, uid_t uid) {
    open_peer(peer);
    struct client *client = TAILQ_LAST(&server.clients, client_list);
    client->uid = uid;
    client->permission.is_trusted = false;
    client->permission.may_write = true;
    return client;
}

/* As if he had asked for them now: also if it was only his connection that broke. */
START_TEST(links_that_a_stranger_tells_of_are_measured) {
    const struct ring_geometry *geometry = &ring.memory->geometry;
    const uint64_t limit = geometry->payload_offset + 6 * geometry->slot_stride;
    struct channel_mail mail;
    server.settings.limit[QUOTA_MEMORY][QUOTA_ALL] = limit;
    struct client *client = open_as(&writer, STRANGER);
    client->process->uid = _i ? STRANGER : VICTIM;
    tell_of_link(2);
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    peer_vanish(&writer);
    turn();
    open_as(&writer, STRANGER);
    tell_of_link(12);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&writer, -ENOSPC), "memory"));
    ck_assert_uint_le(quota_used(&server, QUOTA_MEMORY), limit);
}
END_TEST

/* Who has a reader of the former supervisor's, and a session that is back. */
static const struct client *open_victim(void) {
    load_names();
    server.started_ns = shmframe_now_ns() + FOLLOWERS_NS;
    struct client *victim = open_as(&other, VICTIM);
    victim->process->uid = VICTIM;
    server.settings.limit[QUOTA_READERS][QUOTA_USER] = 1;
    return victim;
}

/* Whether he has less memory than so many slots. */
static bool has_less(const struct client *client, unsigned slots) {
    server.settings.limit[QUOTA_MEMORY][QUOTA_USER] = slots * ring.memory->geometry.slot_stride;
    return quota_check(client, QUOTA_MEMORY, 1) == 0;
}

START_TEST(a_link_that_a_stranger_tells_of_is_a_reader_and_no_memory) {
    const struct client *victim = open_victim();
    open_as(&writer, STRANGER);
    tell_of_link(12);
    ck_assert_int_eq(quota_check(victim, QUOTA_READERS, 1), -ENOSPC);
    ck_assert(has_less(victim, 1));
}
END_TEST

/* Its reader came back already, or would have. */
START_TEST(a_link_that_a_stranger_tells_of_late_is_nobodys) {
    const struct client *victim = open_victim();
    if (_i)
        server.former_reader[0].number = 0;
    else
        server.started_ns = shmframe_now_ns() - 2 * FOLLOWERS_NS;
    open_as(&writer, STRANGER);
    tell_of_link(1);
    ck_assert_int_eq(quota_check(victim, QUOTA_READERS, 1), 0);
    ck_assert(TAILQ_FIRST(&server.streams)->writer != NULL);
}
END_TEST

START_TEST(who_claims_a_link_of_a_stranger_has_what_he_says_himself) {
    const struct client *victim = open_victim();
    open_as(&writer, STRANGER);
    tell_of_link(12);
    peer_send_reader(&other, "test",
                     &(struct reader_options){.reader = 1,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = 1,
                                              .entry = ENTRY,
                                              .serial = SERIAL});
    turn();
    ck_assert_ptr_nonnull(TAILQ_FIRST(&victim->readers)->link);
    ck_assert(has_less(victim, 4));
}
END_TEST

/* It came back, told how far the stream came, and died before it was read. */
START_TEST(a_reader_of_before_is_believed_when_it_dies) {
    load_names();
    open_peer(&other);
    struct client *client = TAILQ_LAST(&server.clients, client_list);
    client->permission.is_trusted = false;
    peer_send_reader(&other, "test",
                     &(struct reader_options){
                         .reader = 1, .flags = MESSAGE_RESYNC, .generation = 1, .head = 70});
    server_process_died(&server, client->process);
    ck_assert_uint_eq(TAILQ_FIRST(&server.streams)->sequence, 70);
    ck_assert_uint_eq(server.former_reader[0].number, 0);
}
END_TEST

/* ---- whose trouble it is that a descriptor is slow to close ---- */

enum { FDS_OF_A_LINK = 4 };

static unsigned closed, closed_for_us;

void __real_closer_close(int fd, uid_t uid);
void __wrap_closer_close(int fd, uid_t uid);

void __wrap_closer_close(int fd, uid_t uid) {
    closed++;
    closed_for_us += uid == geteuid();
    __real_closer_close(fd, uid);
}

START_TEST(what_a_writer_passed_and_its_reader_did_not_read_is_closed_in_its_name) {
    union message news;
    open_peer(&writer);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    turn();
    open_peer(&other);
    struct client *client = TAILQ_LAST(&server.clients, client_list);
    client->uid = STRANGER;
    message_init(&news, MESSAGE_DONE, 1);
    while (client->queued == 0)
        client_send(client, &news, NULL);
    peer_send_reader(&other, "test", &(struct reader_options){.reader = 1});
    turn();
    closed_for_us = 0;
    peer_vanish(&other);
    turn();
    ck_assert_uint_eq(closed_for_us, FDS_OF_A_LINK);
}
END_TEST

START_TEST(the_memory_of_a_ring_is_nobodys_descriptor) {
    struct stream_ring *taken;
    ck_assert_int_eq(stream_ring_create(dup(ring.fd), "test", &taken), 0);
    closed = 0;
    stream_ring_destroy(taken);
    ck_assert_uint_eq(closed, 0);
}
END_TEST

/* ---- what comes to the socket for sd_notify(3) ---- */

enum { NOTIFY_FDS = 253 }; /* more than any other message may have */

/* 0, or a negative errno. */
static int send_to_notify(unsigned fds) {
    union {
        struct cmsghdr item;
        char bytes[CMSG_SPACE(NOTIFY_FDS * sizeof(int))];
    } control = {.item = {.cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS,
                          .cmsg_len = CMSG_LEN(fds * sizeof(int))}};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct iovec part = {.iov_base = "READY=1", .iov_len = 7};
    const struct msghdr message = {.msg_name = &address,
                                   .msg_namelen = sizeof(address),
                                   .msg_iov = &part,
                                   .msg_iovlen = 1,
                                   .msg_control = fds ? control.bytes : NULL,
                                   .msg_controllen = fds ? CMSG_SPACE(fds * sizeof(int)) : 0};
    memcpy(address.sun_path, server.notify_path, strlen(server.notify_path) + 1);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (unsigned i = 0; i < fds; i++)
        memcpy(CMSG_DATA(&control.item) + i * sizeof(fd), &fd, sizeof(fd));
    const int code = sendmsg(fd, &message, MSG_DONTWAIT) < 0 ? -errno : 0;
    close(fd);
    return code;
}

static bool is_notify_read(void) {
    struct pollfd polled = {.fd = sd_event_source_get_io_fd(server.pipeline.notify_source),
                            .events = POLLIN};
    return poll(&polled, 1, 0) == 0;
}

START_TEST(what_comes_to_the_notify_socket_is_closed_in_its_senders_name) {
    notify_open(&server);
    ck_assert_int_eq(send_to_notify(NOTIFY_FDS), 0);
    closed = closed_for_us = 0;
    if (_i)
        notify_drain(&server);
    else
        turn();
    ck_assert_uint_eq(closed, NOTIFY_FDS);
    ck_assert_uint_eq(closed_for_us, NOTIFY_FDS);
    unlink(server.notify_path);
}
END_TEST

static size_t backlog;
static bool is_behind; /* whoever has passed something */

size_t __wrap_closer_backlog(void);
enum closer_progress __wrap_closer_look(uid_t uid);
bool __wrap_closer_is_behind(void);

size_t __wrap_closer_backlog(void) {
    return backlog;
}

enum closer_progress __wrap_closer_look(uid_t uid) {
    (void)uid;
    return is_behind ? CLOSER_IS_STUCK : CLOSER_KEEPS_UP;
}

bool __wrap_closer_is_behind(void) {
    return is_behind;
}

/* A watchdog would bite them. */
START_TEST(what_nodes_say_is_read_whatever_others_have_passed) {
    notify_open(&server);
    backlog = server.fds_limit;
    ck_assert_int_eq(send_to_notify(0), 0);
    turn();
    ck_assert(is_notify_read());
    unlink(server.notify_path);
}
END_TEST

/* Linux 6.16. */
static bool can_refuse_fds(void) {
    int value = 0;
    socklen_t bytes = sizeof(value);
    const int fd = sd_event_source_get_io_fd(server.pipeline.notify_source);
    return getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &value, &bytes) == 0;
}

START_TEST(who_is_behind_passes_nothing_more_to_the_notify_socket) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(20000000000));
    notify_open(&server);
    ck_assert_int_eq(send_to_notify(1), 0);
    turn();
    ck_assert_int_eq(send_to_notify(1), 0);
    is_behind = true;
    turn();
    if (can_refuse_fds()) {
        ck_assert_int_eq(send_to_notify(1), -EPERM);
        ck_assert_int_eq(send_to_notify(0), 0);
        turn();
        ck_assert(is_notify_read());
    }
    is_behind = false;
    while (send_to_notify(1) < 0 && shmframe_now_ns() < deadline_ns)
        sd_event_run(server.event, 10000);
    ck_assert_int_eq(send_to_notify(1), 0);
    unlink(server.notify_path);
}
END_TEST

/* Nobody else can be a node. */
START_TEST(only_who_can_start_nodes_of_other_users_hears_these) {
    struct stat info;
    notify_open(&server);
    ck_assert_int_eq(stat(server.notify_path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, protect_can_change_user() ? 0777 : 0600);
    unlink(server.notify_path);
}
END_TEST

/* ---- what the log says ---- */

static int kept_stderr = -1, log_end = -1;

static void begin_log(void) {
    int log[2];
    ck_assert_int_eq(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
    kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    ck_assert_int_ge(dup2(log[1], STDERR_FILENO), 0);
    close(log[1]);
    log_end = log[0];
    log_set_level(LOG_EVENTS);
}

static void expect_log(const char *words) {
    char text[4096] = "";
    const ssize_t bytes = read(log_end, text, sizeof(text) - 1);
    close(log_end);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    log_set_level(LOG_TROUBLE);
    ck_assert_int_gt(bytes, 0);
    ck_assert_msg(strstr(text, words), "no \"%s\" in: %s", words, text);
}

START_TEST(why_a_connection_is_given_up_is_told_as_it_is) {
    open_peer(&writer);
    struct client *client = TAILQ_LAST(&server.clients, client_list);
    begin_log();
    while (client->queued == 0)
        client_done(client, 1);
    if (_i == 0) {
        while (client->socket >= 0)
            client_done(client, 1);
        expect_log("does not read what it is sent");
    } else {
        union message message;
        message_init(&message, MESSAGE_RECORD, 1);
        const int fds = STDIN_FILENO;
        server.fds_limit = 0;
        client_send(client, &message, &fds);
        ck_assert_int_eq(client->socket, -1);
        expect_log("no descriptor left");
    }
}
END_TEST

START_TEST(why_names_are_not_saved_is_told_as_the_kernel_does) {
    struct rlimit before, none;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    begin_log();
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    names_save(&server);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    expect_log("File too large");
}
END_TEST

START_TEST(what_is_no_file_is_no_state_file) {
    size_t bytes;
    ck_assert_int_eq(mkfifoat(server.listener.folder, "fifo", 0600), 0);
    char *text = state_file_read(server.listener.folder, "fifo", &bytes);
    ck_assert_int_eq(unlinkat(server.listener.folder, "fifo", 0), 0);
    ck_assert_ptr_null(text);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("inside");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, who_waits_for_a_stream_is_linked_before_its_writer_hears_that_it_is_open);
    tcase_add_test(cases, who_asked_and_is_gone_is_not_kept_for_the_answer);
    tcase_add_test(cases, a_link_whose_process_is_back_without_it_ends_soon);
    tcase_add_test(cases, a_session_that_never_reads_keeps_its_links_of_its_process_for_a_minute);
    tcase_add_test(cases, who_tells_of_something_may_tell_of_more);
    tcase_add_test(cases, a_link_is_not_kept_for_a_reader_that_is_evicted);
    tcase_add_test(cases, a_process_of_which_no_session_reads_keeps_its_links);
    tcase_add_test(cases, connections_that_say_nothing_keep_no_link);
    tcase_add_test(cases, a_next_writer_waits_for_a_session_that_has_not_read_yet);
    tcase_add_test(cases, a_next_writer_waits_for_a_session_beside_one_that_is_just_back);
    tcase_add_test(cases, a_reader_has_not_left_while_its_session_has_not_read_yet);
    tcase_add_loop_test(cases, a_process_that_is_stopped_keeps_its_links, 0, 2);
    tcase_add_test(cases, a_machine_that_stands_still_hangs_nobody);
    tcase_add_test(cases, time_in_which_a_process_is_stopped_does_not_count);
    tcase_add_test(cases, a_process_is_looked_up_once_for_all_its_readers);
    tcase_add_loop_test(cases, a_holder_that_cannot_be_looked_at_keeps_his_link, 0, 2);
    tcase_add_test(cases, a_session_is_looked_at_once_for_all_lines_of_the_names);
    tcase_add_loop_test(cases, a_process_is_looked_up_once_for_all_lines_of_the_names, 0, 2);
    tcase_add_test(cases, what_a_writer_passed_and_its_reader_did_not_read_is_closed_in_its_name);
    tcase_add_test(cases, the_memory_of_a_ring_is_nobodys_descriptor);
    tcase_add_loop_test(cases, what_comes_to_the_notify_socket_is_closed_in_its_senders_name, 0, 2);
    tcase_add_test(cases, what_nodes_say_is_read_whatever_others_have_passed);
    tcase_add_test(cases, who_is_behind_passes_nothing_more_to_the_notify_socket);
    tcase_add_test(cases, only_who_can_start_nodes_of_other_users_hears_these);
    tcase_add_loop_test(cases, links_that_a_stranger_tells_of_are_measured, 0, 2);
    tcase_add_test(cases, a_link_that_a_stranger_tells_of_is_a_reader_and_no_memory);
    tcase_add_loop_test(cases, a_link_that_a_stranger_tells_of_late_is_nobodys, 0, 2);
    tcase_add_test(cases, who_claims_a_link_of_a_stranger_has_what_he_says_himself);
    tcase_add_test(cases, a_reader_of_before_is_believed_when_it_dies);
    tcase_add_test(cases, a_process_that_cannot_be_looked_at_may_be_stopped);
    tcase_add_test(cases, what_is_no_file_is_no_state_file);
    tcase_add_loop_test(cases, why_a_connection_is_given_up_is_told_as_it_is, 0, 2);
    tcase_add_test(cases, why_names_are_not_saved_is_told_as_the_kernel_does);
    Suite *suite = suite_create("inside");
    TCase *stopped = tcase_create("stopped");
    tcase_set_timeout(stopped, 60);
    tcase_add_checked_fixture(stopped, begin_with_group, end);
    tcase_add_test(stopped, a_process_is_stopped_by_a_signal_or_with_its_group);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, stopped);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
