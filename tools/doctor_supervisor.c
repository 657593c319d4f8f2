/* Supervisor: where it should be, whether it is there, and which it is. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <shmframe/shmframe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char topic[] = "supervisor";

static void look_at_runtime_folder(struct findings *findings) {
    const char *path = getenv("XDG_RUNTIME_DIR");
    struct stat info;
    struct finding *finding = findings_add(findings, topic, "runtime-folder", "%s",
                                           path && *path ? path : "XDG_RUNTIME_DIR is not set");
    if (path && *path && (stat(path, &info) < 0 || info.st_uid != geteuid() || info.st_mode & 077))
        finding_set_trouble(finding, FINDING_WARNING,
                            "that folder is not there, another user's or open to others: no "
                            "supervisor finds a place in it",
                            "XDG_RUNTIME_DIR=/run/user/UID as a login sets it, or SHMFRAME_SOCKET");
    else if (!path || !*path)
        finding_set_trouble(
            finding, FINDING_NOTE,
            "programs look for the supervisor in /run/user/UID, \"shmframe run\" "
            "works in /tmp",
            "log in by way of pam_systemd, or set SHMFRAME_SOCKET for all programs");
}

/* The name of the program that serves `socket`, by the pid in its lock file; "" if that is not to
 * be told. */
static void find_program(const char *socket, char program[4096], int *out_pid) {
    char path[4200];
    program[0] = '\0';
    *out_pid = 0;
    snprintf(path, sizeof(path), "%s.lock", socket);
    FILE *lock = fopen(path, "re");
    if (!lock)
        return;
    if (fscanf(lock, "%d", out_pid) != 1)
        *out_pid = 0;
    fclose(lock);
    snprintf(path, sizeof(path), "/proc/%d/exe", *out_pid);
    const ssize_t length = *out_pid > 0 ? readlink(path, program, 4095) : -1;
    program[length > 0 ? length : 0] = '\0';
}

/* By the library's rule, which session.h tells. */
static void find_socket(char socket[4096]) {
    const char *told = getenv("SHMFRAME_SOCKET");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (told && *told)
        snprintf(socket, 4096, "%s", told);
    else if (runtime && *runtime == '/')
        snprintf(socket, 4096, "%s/shmframe/socket", runtime);
    else
        snprintf(socket, 4096, "/run/user/%u/shmframe/socket", (unsigned)geteuid());
}

/* ---- what it says of itself ---- */

enum { LIMITS_MAX = 16, NEAR_PERCENT = 80 };
#define ANSWER_NS INT64_C(5000000000)

struct description {
    char settings[4096], program[4096]; /* "": not told */
    bool is_replaced;
    unsigned limits;
    struct limit {
        char key[32];
        unsigned long long used, limit;
    } limit[LIMITS_MAX];
};

static void take_line(void *user, const char *text) {
    struct description *description = user;
    if (sscanf(text, "settings %4095[^\n]", description->settings) == 1 ||
        sscanf(text, "program %4095[^\n]", description->program) == 1)
        return;
    if (strcmp(text, "replaced") == 0)
        description->is_replaced = true;
    struct limit *limit = &description->limit[description->limits];
    if (description->limits < LIMITS_MAX &&
        sscanf(text, "limit %31s %llu %llu", limit->key, &limit->used, &limit->limit) == 3)
        description->limits++;
}

static bool is_near(const struct limit *limit) {
    return limit->used >= limit->limit / 100.0 * NEAR_PERCENT;
}

static void print_limit(char *text, size_t text_bytes, const struct limit *limit) {
    const bool is_memory = strcmp(limit->key, "memory") == 0;
    snprintf(text, text_bytes, "%s %llu of %llu%s", limit->key,
             is_memory ? limit->used >> 20 : limit->used,
             is_memory ? limit->limit >> 20 : limit->limit, is_memory ? " MiB" : "");
}

static void look_at_limits(struct findings *findings, const struct description *description) {
    char text[300] = "", near[160] = "", figure[64];
    size_t used = 0;
    struct finding *finding = findings_add(findings, topic, "limits", "none");
    for (unsigned i = 0; i < description->limits; i++) {
        const struct limit *limit = &description->limit[i];
        char one[96];
        print_limit(one, sizeof(one), limit);
        if (used < sizeof(text))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "", one);
        if (is_near(limit) && !near[0])
            snprintf(near, sizeof(near), "%s in [limits] of shmframed.conf, then shmframe reload",
                     limit->key);
        snprintf(figure, sizeof(figure), "%s_used", limit->key);
        finding_set_figure(finding, figure, (json_int_t)limit->used);
        snprintf(figure, sizeof(figure), "%s_limit", limit->key);
        finding_set_figure(finding, figure, (json_int_t)limit->limit);
    }
    if (description->limits)
        snprintf(finding->found, sizeof(finding->found), "%s", text);
    if (near[0])
        finding_set_trouble(finding, FINDING_WARNING,
                            "whoever asks for more than is left is refused", near);
}

/* Of another user it is not to be known. */
static void describe(struct findings *findings, struct shmframe_session *session,
                     struct description *description) {
    const int code = shmframe_session_command(
        session, "describe", NULL, shmframe_deadline_ns(ANSWER_NS), take_line, description);
    if (code == 0) {
        findings_add(findings, topic, "settings", "%.300s",
                     description->settings[0] ? description->settings : "no file: defaults count");
        look_at_limits(findings, description);
        return;
    }
    *description = (struct description){0};
    finding_set_trouble(
        findings_add(findings, topic, "settings", "not told: %.200s", shmframe_last_error()),
        FINDING_NOTE,
        "none: but its settings, its limits, and whether its program was replaced "
        "since it started, cannot be seen from here",
        "shmframe doctor as root or as its user");
}

static void look_at_answer(struct findings *findings, struct shmframe_session *session,
                           const char *socket) {
    static struct description description;
    static const char deleted[] = " (deleted)";
    char program[4096];
    int pid;
    find_program(socket, program, &pid);
    const size_t length = strlen(program);
    bool is_replaced =
        length >= sizeof(deleted) && strcmp(program + length - sizeof(deleted) + 1, deleted) == 0;
    struct finding *finding =
        findings_add(findings, topic, "answer", "at %.160s: %.100s, pid %d, version %s or like it",
                     socket, *program ? program : "a supervisor", pid, shmframe_version());
    finding_set_figure(finding, "pid", pid);
    describe(findings, session, &description);
    is_replaced |= description.is_replaced;
    if (!*program && description.program[0])
        snprintf(finding->found, sizeof(finding->found),
                 "at %.120s: %.120s, pid %d, version %s or like it", socket, description.program,
                 pid, shmframe_version());
    if (is_replaced)
        finding_set_trouble(finding, FINDING_NOTE,
                            "none: but its program was replaced since it started",
                            "shmframe upgrade");
}

/* shmframed makes the socket's folder, and none above it. */
static int check_place(const char *socket, char folder[4096]) {
    int code = 0;
    snprintf(folder, 4096, "%s", socket);
    for (unsigned level = 0; level < 2; level++) {
        char *slash = strrchr(folder, '/');
        if (!slash)
            return 0; /* below the current one */
        slash[slash == folder] = '\0';
        code = faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
        if (code != -ENOENT)
            return code;
    }
    return code;
}

static void tell_absent(struct finding *finding, const char *socket) {
    char folder[4096], cost[300];
    const int code = check_place(socket, folder);
    if (code == 0) {
        finding_set_trouble(finding, FINDING_NOTE,
                            "none, if everything runs below \"shmframe run\", which brings its own",
                            "shmframed, or shmframe run");
        return;
    }
    snprintf(cost, sizeof(cost), "shmframed cannot start: %.200s: %s", folder, strerror(-code));
    finding_set_trouble(finding, FINDING_WARNING, cost,
                        "shmframed --socket FOLDER/socket in a folder of one's own, and "
                        "SHMFRAME_SOCKET set to it for all programs; or shmframe run");
}

static void tell_silent(struct finding *finding, const char *socket) {
    char program[4096], remedy[200];
    int pid;
    find_program(socket, program, &pid);
    snprintf(remedy, sizeof(remedy),
             "kill -CONT %d if it is stopped; else kill -KILL %d, and shmframed again: streams "
             "flow on",
             pid, pid);
    finding_set_trouble(finding, FINDING_FAILURE, "no program finds a stream",
                        pid > 0 ? remedy : "see whether it is stopped; start it again");
}

void doctor_look_at_supervisor(struct findings *findings) {
    look_at_runtime_folder(findings);
    char socket[4096];
    find_socket(socket);
    struct shmframe_session *session;
    const struct shmframe_session_params params = {.name = "shmframe doctor"};
    const int result = shmframe_session_open(&params, &session);
    if (result == 0) {
        look_at_answer(findings, session, socket);
        shmframe_session_close(session);
        return;
    }
    struct finding *finding =
        findings_add(findings, topic, "answer", "%.300s", shmframe_last_error());
    finding_set_figure(finding, "error", -result);
    if (result == -ENOTCONN)
        tell_absent(finding, socket);
    else if (result == -ETIMEDOUT)
        tell_silent(finding, socket);
    else
        finding_set_trouble(finding, FINDING_FAILURE, "no program finds a stream",
                            result == -EPROTONOSUPPORT
                                ? "the programs and shmframed from one build; restart shmframed"
                                : "see the line above; SHMFRAME_SOCKET names another one");
}
