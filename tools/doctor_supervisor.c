/* Supervisor: where it should be, whether it is there, and which it is. */
#include "doctor.h"

#include <errno.h>
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

static void look_at_answer(struct findings *findings, const char *socket) {
    char program[4096];
    int pid;
    find_program(socket, program, &pid);
    struct finding *finding =
        findings_add(findings, topic, "answer", "at %.160s: %.100s, pid %d, version %s or like it",
                     socket, *program ? program : "a supervisor", pid, shmframe_version());
    finding_set_figure(finding, "pid", pid);
    const char deleted[] = " (deleted)";
    const size_t length = strlen(program);
    if (length >= sizeof(deleted) && strcmp(program + length - sizeof(deleted) + 1, deleted) == 0)
        finding_set_trouble(finding, FINDING_NOTE,
                            "none: but its program was replaced since it started",
                            "shmframe upgrade");
}

void doctor_look_at_supervisor(struct findings *findings) {
    look_at_runtime_folder(findings);
    char socket[4096];
    find_socket(socket);
    struct shmframe_session *session;
    const struct shmframe_session_params params = {.name = "shmframe doctor"};
    const int result = shmframe_session_open(&params, &session);
    if (result == 0) {
        look_at_answer(findings, socket);
        shmframe_session_close(session);
        return;
    }
    struct finding *finding =
        findings_add(findings, topic, "answer", "%.300s", shmframe_last_error());
    finding_set_figure(finding, "error", -result);
    if (result == -ENOTCONN)
        finding_set_trouble(finding, FINDING_NOTE,
                            "none, if everything runs below \"shmframe run\", which brings its own",
                            "shmframed, or shmframe run");
    else
        finding_set_trouble(finding, FINDING_FAILURE, "no program finds a stream",
                            result == -EPROTONOSUPPORT
                                ? "the programs and shmframed from one build; restart shmframed"
                                : "see the line above; SHMFRAME_SOCKET names another one");
}
