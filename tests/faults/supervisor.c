/* Supervisor: every call that it makes for its peers fails once, and it goes on.
 *
 * One supervisor, with interpose.c before it, serves session after session: one without a fault, to
 * see which places call what; then, for each place and error, one with it, which must be answered,
 * and one without, which must go well. Then it has no more than before. A supervisor that does not
 * come so far is told of, and another one goes on.
 */
#include "flow.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../folder.h"

enum { ERRORS_MAX = 5, NTH_MAX = 64, START_MS = 20000, STOP_MS = 10000 };

static const struct {
    const char *name;
    int error[ERRORS_MAX + 1];
} kinds[] = {
#define KIND(name, ...) {#name, {__VA_ARGS__}},
    FAULT_KINDS(KIND)
#undef KIND
};

static struct fault_page *page;
static char folder[64];
static pid_t supervisor;
enum { WRONG_BYTES = 512 };
static char *wrong;   /* what the session that runs found; "": nothing; shared with its process */
static bool may_fail; /* the session that runs */

/* ---- what flow.c wants of a sweep ---- */

void sweep_arm(void) {
}

void sweep_disarm(void) {
}

int64_t sweep_deadline(void) {
    return shmframe_deadline_ns(SWEEP_NS);
}

void sweep_judge(const char *call, int code) {
    sweep_wrong("%s answers %s: %s", call, strerrorname_np(-code), shmframe_last_error());
}

void sweep_wrong(const char *text, ...) {
    va_list values;
    va_start(values, text);
    vsnprintf(wrong, WRONG_BYTES, text, values);
    va_end(values);
    _exit(1);
}

/* ---- the supervisor ---- */

static void start_supervisor(void) {
    char path[128], config[128], number[16];
    snprintf(path, sizeof(path), "%s/page", folder);
    snprintf(config, sizeof(config), "%s/pipeline", folder);
    int ready[2];
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    const pid_t parent = getpid();
    supervisor = fork();
    ck_assert_int_ge(supervisor, 0);
    if (supervisor == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        setenv("FAULT_PAGE", path, 1);
        setenv("LD_PRELOAD", getenv("INTERPOSE"), 1);
        snprintf(number, sizeof(number), "%d", fcntl(ready[1], F_DUPFD, 100));
        if (!getenv("SHMFRAMED_LOG"))
            dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        execl(getenv("SHMFRAMED"), "shmframed", "--socket", flow_socket, "--config", config,
              "--ready-fd", number, "--traceable", (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    struct pollfd poll_ready = {.fd = ready[0], .events = POLLIN};
    char byte = 0;
    ck_assert_int_eq(poll(&poll_ready, 1, START_MS), 1);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

/* In good order, so that its node ends with it. */
static void stop_supervisor(void) {
    const int pidfd = pidfd_open(supervisor, 0);
    struct pollfd poll_end = {.fd = pidfd, .events = POLLIN};
    kill(supervisor, SIGTERM);
    if (poll(&poll_end, 1, STOP_MS) != 1)
        kill(supervisor, SIGKILL);
    close(pidfd);
    waitpid(supervisor, NULL, 0);
}

/* True: it has ended by itself. */
static bool has_ended(int *out_status) {
    return waitpid(supervisor, out_status, WNOHANG) == supervisor;
}

/* ---- a session ---- */

/* One step of it; with a fault it may be refused, with a reason and in time. Then the rest is left.
 */
#define STEP(call)                                                                                 \
    do {                                                                                           \
        const int code_ = (call);                                                                  \
        if (code_ >= 0)                                                                            \
            break;                                                                                 \
        MUST(may_fail, "%s answers %s: %s", #call, strerrorname_np(-code_),                        \
             shmframe_last_error());                                                               \
        MUST(code_ != -ETIMEDOUT, "%s is not answered: %s", #call, shmframe_last_error());         \
        MUST(shmframe_last_error()[0], "%s answers %s without a word", #call,                      \
             strerrorname_np(-code_));                                                             \
        return;                                                                                    \
    } while (0)

static void ask(struct shmframe_session *session) {
    static struct shmframe_stream_info streams[8];
    static struct shmframe_reader_info readers[8];
    static struct shmframe_event events[8];
    static struct shmframe_node_info nodes[2];
    struct shmframe_record *record;
    STEP(shmframe_session_streams(session, sweep_deadline(), streams, 8));
    STEP(shmframe_session_readers(session, "stream", sweep_deadline(), readers, 8));
    STEP(shmframe_record_open(session, "stream", readers[0].number, sweep_deadline(), &record));
    shmframe_record_close(record);
    STEP(shmframe_session_events(session, 0, SHMFRAME_NOW, events, 8));
    STEP(shmframe_session_nodes(session, sweep_deadline(), nodes, 2));
}

static void pass_frames(struct shmframe_writer *writer, struct shmframe_reader *reader) {
    struct shmframe_loan loan;
    struct shmframe_lease lease;
    for (unsigned i = 0; i < 3; i++) {
        STEP(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan));
        flow_fill(&loan, i);
        STEP(shmframe_writer_publish(writer, &loan));
        STEP(shmframe_reader_acquire(reader, sweep_deadline(), &lease));
        flow_check(&lease);
        STEP(shmframe_reader_release(reader, &lease));
    }
}

static void change_format(struct shmframe_writer *writer, struct shmframe_reader *reader) {
    struct shmframe_format format;
    DO(shmframe_format_data(&format, "faults", 512));
    STEP(shmframe_writer_set_format(writer, &format, sweep_deadline()));
    pass_frames(writer, reader);
}

/* ---- requests ---- */

static struct {
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    _Atomic bool is_over;
} answering;

static void *answer(void *user) {
    struct shmframe_writer_event event;
    (void)user;
    while (!atomic_load(&answering.is_over)) {
        struct pollfd poll_session = {.fd = shmframe_session_fd(answering.session),
                                      .events = POLLIN};
        poll(&poll_session, 1, 2);
        shmframe_session_dispatch(answering.session);
        while (shmframe_writer_next_event(answering.writer, &event) == 0)
            if (event.type == SHMFRAME_REQUEST)
                shmframe_writer_answer(answering.writer, event.request, 0, event.argument);
    }
    return NULL;
}

static void request(struct shmframe_session *session) {
    struct shmframe_answer answer;
    for (unsigned i = 0; i < 2; i++) {
        STEP(shmframe_session_request(session, "stream", "say", "it", sweep_deadline(), &answer));
        MUST(answer.status == 0 && strcmp(answer.text, "it") == 0, "the answer is %d, '%s'",
             answer.status, answer.text);
    }
}

static void have_answered(struct shmframe_session *session, struct shmframe_session *writers,
                          struct shmframe_writer *writer) {
    pthread_t thread;
    answering.session = writers;
    answering.writer = writer;
    atomic_store(&answering.is_over, false);
    MUST(pthread_create(&thread, NULL, answer, NULL) == 0, "no thread");
    request(session);
    atomic_store(&answering.is_over, true);
    pthread_join(thread, NULL);
}

/* ---- eviction ---- */

static void evict(struct shmframe_session *session, struct shmframe_reader *reader) {
    struct shmframe_reader_info info;
    struct shmframe_lease lease;
    STEP(shmframe_session_readers(session, "stream", sweep_deadline(), &info, 1));
    STEP(shmframe_session_evict(session, "stream", info.number, sweep_deadline()));
    const int code = shmframe_reader_acquire(reader, sweep_deadline(), &lease);
    MUST(code == -ESTALE, "who was evicted is answered %s", strerrorname_np(-code));
}

/* ---- all of it ---- */

static void read_and_ask(struct shmframe_session *session, struct shmframe_session *writers,
                         struct shmframe_writer *writer) {
    const struct shmframe_reader_params params = flow_reader_params("stream");
    struct shmframe_reader *reader = NULL;
    STEP(shmframe_reader_open(session, &params, &reader));
    pass_frames(writer, reader);
    ask(session);
    have_answered(session, writers, writer);
    change_format(writer, reader);
    evict(session, reader);
    shmframe_reader_close(reader);
}

static void write_and_read(struct shmframe_session *session, struct shmframe_session *other) {
    const struct shmframe_writer_params params = flow_writer_params("stream");
    struct shmframe_writer *writer = NULL;
    STEP(shmframe_writer_open(session, &params, &writer));
    read_and_ask(other, session, writer);
    shmframe_writer_close(writer);
}

/* Until it runs once more, by itself if its first start goes wrong. */
static void restart_node(struct shmframe_session *session) {
    struct shmframe_node_info node = {0};
    STEP(shmframe_session_command(session, "restart", "node", sweep_deadline(), NULL, NULL));
    const int64_t deadline_ns = sweep_deadline();
    do {
        MUST(shmframe_now_ns() < deadline_ns, "the node is %s and does not run: %s", node.state,
             node.reason);
        poll(NULL, 0, 2);
        STEP(shmframe_session_nodes(session, sweep_deadline(), &node, 1));
    } while (strcmp(node.state, "running") != 0 || node.since_ns == 0);
}

/* Of a file that is as it was. */
static void reload(struct shmframe_session *session) {
    STEP(shmframe_session_command(session, "reload", NULL, sweep_deadline(), NULL, NULL));
}

static void play_session(void) {
    const struct shmframe_session_params params = {
        .socket = flow_socket, .name = "faults", .deadline_ns = sweep_deadline()};
    struct shmframe_session *session = NULL, *other = NULL;
    STEP(shmframe_session_open(&params, &session));
    STEP(shmframe_session_open(&params, &other));
    write_and_read(session, other);
    restart_node(session);
    reload(session);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

/* In a process of its own: whatever it has is gone at its end. True: it went well. */
static bool run_session(bool with_fault) {
    wrong[0] = '\0';
    may_fail = with_fault;
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            play_session();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (status && !wrong[0])
        snprintf(wrong, WRONG_BYTES, "the session's process ends with 0x%x", (unsigned)status);
    return status == 0;
}

/* ---- what it has ---- */

struct holdings {
    int descriptors, mappings;
    int64_t allocations;
};

static struct holdings count_holdings(void) {
    char path[64], line[512];
    struct holdings found = {.allocations = atomic_load(&page->allocations)};
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)supervisor);
    DIR *fds = opendir(path);
    while (fds && readdir(fds))
        found.descriptors++;
    if (fds)
        closedir(fds);
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)supervisor);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof(line), maps))
        found.mappings += strstr(line, "memfd:shmframe") != NULL;
    if (maps)
        fclose(maps);
    return found;
}

static bool has_more(struct holdings now, struct holdings before) {
    return now.descriptors > before.descriptors || now.mappings > before.mappings ||
           now.allocations > before.allocations;
}

/* What a death leaves is cleared when it is heard of. */
static bool await_holdings(struct holdings before, const char **out_text) {
    static char text[160];
    const int64_t deadline_ns = sweep_deadline();
    struct holdings now = count_holdings();
    while (has_more(now, before) && shmframe_now_ns() < deadline_ns) {
        poll(NULL, 0, 2);
        now = count_holdings();
    }
    snprintf(text, sizeof(text),
             "it is left with %d descriptors, %d mappings, %lld allocations more",
             now.descriptors - before.descriptors, now.mappings - before.mappings,
             (long long)(now.allocations - before.allocations));
    *out_text = text;
    return !has_more(now, before);
}

/* What it holds between sessions, once it does not change any more. */
static struct holdings settle(void) {
    struct holdings before, now;
    ck_assert_msg(run_session(false), "without any fault: %s", wrong);
    const int64_t deadline_ns = sweep_deadline();
    do {
        before = count_holdings();
        ck_assert_msg(run_session(false), "without any fault: %s", wrong);
        /* The least that it comes to within a moment: a death may be heard of late. */
        const int64_t until_ns = shmframe_deadline_ns(200000000);
        now = count_holdings();
        while (shmframe_now_ns() < until_ns && has_more(now, before)) {
            poll(NULL, 0, 2);
            now = count_holdings();
        }
    } while (has_more(now, before) && shmframe_now_ns() < deadline_ns);
    return now;
}

/* ---- all faults ---- */

struct point {
    uint64_t address;
    uint32_t kind, calls;
};

static struct tally { unsigned runs, fired, wrong; } tally;

static void tell(const struct point *point, uint32_t nth, int error, const char *text) {
    tally.wrong++;
    fprintf(stderr, "supervisor: call %u of %s at 0x%llx, %s: %s\n", nth, kinds[point->kind].name,
            (unsigned long long)point->address,
            error == FAULT_SHORT ? "SHORT" : strerrorname_np(error), text);
}

static void start_anew(struct holdings *before) {
    stop_supervisor();
    start_supervisor();
    *before = settle();
}

static void clear_calls(void) {
    for (unsigned i = 0; i < FAULT_PLACES_MAX; i++)
        atomic_store(&page->place[i].calls, 0);
}

static void run_point(const struct point *point, uint32_t nth, int error, struct holdings *before) {
    const char *text = "";
    int status = 0;
    page->address = point->address;
    page->nth = nth;
    page->error = error;
    clear_calls();
    atomic_store(&page->fired, 0);
    atomic_store(&page->mode, FAULT_FAIL);
    bool is_good = run_session(true);
    atomic_store(&page->mode, FAULT_OFF);
    tally.runs++;
    tally.fired += atomic_load(&page->fired);
    if (is_good)
        is_good = run_session(false);
    if (has_ended(&status)) {
        tell(point, nth, error, "it has ended");
        start_supervisor();
        *before = settle();
    } else if (!is_good) {
        tell(point, nth, error, wrong);
        start_anew(before);
    } else if (!await_holdings(*before, &text)) {
        tell(point, nth, error, text);
        start_anew(before);
    }
}

static bool is_long(void) {
    const char *text = getenv("FAULTS");
    return text && strcmp(text, "all") == 0;
}

static void run_place(const struct point *point, struct holdings *before) {
    const int *errors = kinds[point->kind].error;
    const uint32_t last = point->calls < NTH_MAX ? point->calls : NTH_MAX;
    for (uint32_t nth = 1; nth <= (is_long() ? last : 1); nth++)
        for (unsigned i = 0; errors[i]; i++)
            run_point(point, nth, errors[i], before);
}

static unsigned find_points(struct point *out_points) {
    unsigned count = 0;
    clear_calls();
    atomic_store(&page->mode, FAULT_COUNT);
    ck_assert_msg(run_session(false), "without any fault: %s", wrong);
    /* And what it does when it hears of the end. */
    poll(NULL, 0, 300);
    atomic_store(&page->mode, FAULT_OFF);
    for (unsigned i = 0; i < FAULT_PLACES_MAX; i++)
        if (atomic_load(&page->place[i].calls))
            out_points[count++] = (struct point){.address = atomic_load(&page->place[i].address),
                                                 .kind = atomic_load(&page->place[i].kind),
                                                 .calls = atomic_load(&page->place[i].calls)};
    return count;
}

START_TEST(the_supervisor_goes_on_whatever_call_fails) {
    static struct point points[FAULT_PLACES_MAX];
    struct holdings before = settle();
    unsigned long long address;
    unsigned nth;
    int error;
    const char *asked = getenv("FAULTS");
    if (asked && sscanf(asked, "%llx,%u,%d", &address, &nth, &error) == 3) {
        run_point(&(struct point){.address = address}, nth, error, &before);
    } else {
        const unsigned count = find_points(points);
        ck_assert_uint_gt(count, 0);
        ck_assert_uint_lt(count, FAULT_PLACES_MAX);
        for (unsigned i = 0; i < count; i++)
            run_place(&points[i], &before);
        fprintf(stderr, "supervisor: %u places, %u runs, %u with a fault, %u wrong\n", count,
                tally.runs, tally.fired, tally.wrong);
    }
    ck_assert_msg(tally.wrong == 0, "%u runs went wrong; each is told above", tally.wrong);
}
END_TEST

/* ---- fixture ---- */

static void begin(void) {
    char path[128];
    strcpy(folder, "/tmp/shmframe-faults-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(flow_socket, sizeof(flow_socket), "%s/socket", folder);
    snprintf(path, sizeof(path), "%s/page", folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(*page)), 0);
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    close(fd);
    snprintf(path, sizeof(path), "%s/pipeline", folder);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs("[consumer node]\ncommand = exec sleep 60\nrestart = always\nrestart-delay = 1ms\n"
          "restart-limit = none\n",
          file);
    ck_assert_int_eq(fclose(file), 0);
    wrong = mmap(NULL, WRONG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(wrong, MAP_FAILED);
    start_supervisor();
}

static void end(void) {
    stop_supervisor();
    folder_remove(folder);
}

int main(void) {
    Suite *suite = suite_create("faults-supervisor");
    TCase *tests = tcase_create("faults");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, the_supervisor_goes_on_whatever_call_fails);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
