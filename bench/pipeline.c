#include "pipeline.h"

#include "program.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
#define START_NS  (20 * SECOND_NS)
static const char STREAM[] = "bench-pipeline";
enum { ARGUMENTS_MAX = 16, READERS = 4, PROGRAMS = READERS + 1, LOOK_NS = 20000000 };

/* The writer is the last: it waits for its readers. */
static struct member {
    const char *folder, *name;
    const char *argument[ARGUMENTS_MAX];
    char path[PATH_MAX];
    pid_t pid; /* 0: not there */
    uint32_t reader;
    struct shmframe_record *record;
    struct shmframe_reader_counters before, after;
    int64_t before_ns, after_ns; /* processor time */
} members[PROGRAMS] = {
    {.folder = "consumers/view",
     .name = "shmframe-view",
     .argument = {STREAM, "--policy", "in-order", "--depth", "16"}},
    {.folder = "consumers/encode",
     .name = "shmframe-encode",
     .argument = {STREAM, "/dev/null", "--container", "null", "--video", "rawvideo", "--depth",
                  "16"}},
    {.folder = "consumers/analyze",
     .name = "shmframe-analyze",
     .argument = {STREAM, "--format", "json", "--depth", "16"}},
    {.folder = "consumers/latency",
     .name = "shmframe-latency",
     .argument = {STREAM, "--policy", "in-order", "--depth", "16", "--interval", "0"}},
    {.folder = "producers",
     .name = "shmframe-pattern",
     .argument = {"--stream", STREAM, "--no-sound"}},
};

static bool find_program(struct member *member) {
    char self[PATH_MAX / 2];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length <= 0)
        return false;
    self[length] = '\0';
    snprintf(member->path, sizeof(member->path), "%s/../%s/%s", dirname(self), member->folder,
             member->name);
    return access(member->path, X_OK) == 0;
}

static void run_member(void *argument) {
    struct member *member = argument;
    char *line[ARGUMENTS_MAX + 2] = {(char *)member->name};
    for (int i = 0; i < ARGUMENTS_MAX && member->argument[i]; i++)
        line[i + 1] = (char *)member->argument[i];
    /* No window and no picture on a screen: it is drawn all the same. */
    setenv("SDL_VIDEODRIVER", "dummy", 1);
    setenv("SDL_RENDER_DRIVER", "software", 1);
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execv(member->path, line);
    _exit(EXIT_FAILED);
}

/* Options whose values are the plan's; they live as long as the program. */
static void add_options(const struct pipeline_plan *plan, uint32_t readers) {
    static char size[32], rate[32], waited[16];
    const char *const options[] = {"--size", size, "--rate", rate, "--wait-readers", waited};
    snprintf(size, sizeof(size), "%ux%u", plan->width, plan->height);
    snprintf(rate, sizeof(rate), "%d/%d", plan->rate.num, plan->rate.den);
    snprintf(waited, sizeof(waited), "%u", readers);
    const char **argument = members[READERS].argument;
    while (*argument)
        argument++;
    memcpy(argument, options, sizeof(options));
}

/* ---- what they take ---- */

static int64_t read_processor_ns(pid_t pid) {
    clockid_t clock;
    struct timespec time = {0};
    if (clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &time);
    return time.tv_sec * SECOND_NS + time.tv_nsec;
}

static void expect_alive(void) {
    for (int i = 0; i < PROGRAMS; i++)
        if (members[i].pid && waitpid(members[i].pid, NULL, WNOHANG) != 0)
            program_fail("%s ended early; its own message is above", members[i].name);
}

static void pause_ns(int64_t duration_ns) {
    const struct timespec time = {duration_ns / SECOND_NS, duration_ns % SECOND_NS};
    nanosleep(&time, NULL);
}

/* Opens the records of all readers; false: not all of them are there yet. */
static bool find_records(struct shmframe_session *session) {
    static struct shmframe_reader_info readers[64];
    const int count =
        shmframe_session_readers(session, STREAM, shmframe_deadline_ns(SECOND_NS), readers, 64);
    bool is_complete = true;
    for (int i = 0; i < READERS; i++) {
        struct member *member = &members[i];
        for (int k = 0; k < count && member->pid && !member->record; k++)
            if (readers[k].pid == member->pid && readers[k].generation)
                shmframe_record_open(session, STREAM, readers[k].number,
                                     shmframe_deadline_ns(SECOND_NS), &member->record);
        is_complete = is_complete && (!member->pid || member->record);
    }
    return is_complete;
}

/* Until every reader has had a second's worth of frames: what begins is over then. */
static void await_frames(struct shmframe_session *session, const struct pipeline_plan *plan) {
    const int64_t deadline_ns = shmframe_deadline_ns(START_NS);
    const uint64_t wanted = (uint64_t)(plan->rate.num / plan->rate.den);
    for (bool is_ready = false; !is_ready;) {
        expect_alive();
        if (shmframe_now_ns() > deadline_ns)
            program_fail("the programs' frames do not come");
        pause_ns(LOOK_NS);
        is_ready = find_records(session);
        for (int i = 0; i < READERS && is_ready; i++) {
            if (members[i].record)
                shmframe_record_counters(members[i].record, &members[i].before);
            is_ready = !members[i].record || members[i].before.delivered >= wanted;
        }
    }
}

static void read_all(bool is_after) {
    for (int i = 0; i < PROGRAMS; i++) {
        struct member *member = &members[i];
        if (!member->pid)
            continue;
        *(is_after ? &member->after_ns : &member->before_ns) = read_processor_ns(member->pid);
        if (member->record)
            shmframe_record_counters(member->record, is_after ? &member->after : &member->before);
    }
}

static json_t *describe(const struct member *member, int64_t lasted_ns, double frames) {
    json_t *object = json_pack("{s:s, s:n}", "program", member->name, "share");
    if (!member->pid)
        return object;
    const double taken_ns = (double)(member->after_ns - member->before_ns);
    json_object_set_new(object, "share", json_real(taken_ns / (double)lasted_ns));
    json_object_set_new(object, "ns_a_frame", json_real(taken_ns / frames));
    if (member->record) {
        const struct shmframe_reader_counters *a = &member->before, *b = &member->after;
        const uint64_t lost = b->lost_late + b->lost_restart - a->lost_late - a->lost_restart;
        json_object_set_new(object, "delivered",
                            json_integer((json_int_t)(b->delivered - a->delivered)));
        json_object_set_new(object, "lost", json_integer((json_int_t)lost));
        json_object_set_new(object, "skipped", json_integer((json_int_t)(b->skipped - a->skipped)));
    }
    return object;
}

static void stop_all(void) {
    for (int i = PROGRAMS - 1; i >= 0; i--) {
        if (!members[i].pid)
            continue;
        kill(members[i].pid, SIGTERM);
        waitpid(members[i].pid, NULL, 0);
        shmframe_record_close(members[i].record);
    }
}

json_t *pipeline_run(const struct pipeline_plan *plan) {
    uint32_t readers = 0;
    for (int i = 0; i < READERS; i++)
        readers += find_program(&members[i]);
    add_options(plan, readers);
    for (int i = 0; i < PROGRAMS; i++)
        if (find_program(&members[i]))
            members[i].pid = process_start(run_member, &members[i]);
    struct shmframe_session *session = program_open_session();
    await_frames(session, plan);
    const int64_t begin_ns = shmframe_now_ns();
    read_all(false);
    pause_ns(plan->duration_ns);
    read_all(true);
    const int64_t lasted_ns = shmframe_now_ns() - begin_ns;
    expect_alive();
    const double frames = (double)lasted_ns / 1e9 * plan->rate.num / plan->rate.den;
    json_t *programs = json_array();
    for (int i = 0; i < PROGRAMS; i++)
        json_array_append_new(programs, describe(&members[i], lasted_ns, frames));
    stop_all();
    program_close_session(session);
    return programs;
}
