/* What belongs to a node: its process, what that has started, and what is left of it. */
#include "node.h"

#include "census.h"
#include "proc_read.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The kernel's own limit for arguments and environment is larger; what is not in here is not ours.
 */
enum { ENVIRON_BYTES_MAX = 1 << 18, ANCESTORS_MAX = 64 };

static size_t read_environ(pid_t pid, char *out, size_t room) {
    const ssize_t count = proc_read(pid, "environ", out, room);
    return count > 0 ? (size_t)count : 0;
}

static bool has_variable(const char *environ_text, size_t bytes, const char *name,
                         const char *value) {
    const size_t name_length = strlen(name), length = strlen(value);
    for (const char *at = environ_text, *end = environ_text + bytes; at < end;) {
        const size_t left = (size_t)(end - at), own = strnlen(at, left);
        if (own == name_length + 1 + length && memcmp(at, name, name_length) == 0 &&
            at[name_length] == '=' && memcmp(at + name_length + 1, value, length) == 0)
            return true;
        at += own + 1;
    }
    return false;
}

/* Of one that runs with the rights of another than who started it: not. This file can be read while
 * the process runs another program, see proc_read.h. */
static bool is_of_user(pid_t pid, uid_t uid) {
    char path[32], line[256];
    unsigned real = 0, effective = 0;
    bool is_found = false;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && !is_found && fgets(line, sizeof(line), file))
        is_found = sscanf(line, "Uid: %u %u", &real, &effective) == 2;
    if (file)
        fclose(file);
    return is_found && real == uid && effective == uid;
}

/* Whoever left both session and parents still has the environment that the node was born with. So
 * has anybody who wishes: it counts only of the node's own user, who may signal the node anyway. */
static bool has_mark(const struct node *node, pid_t pid, const char *environ_text, size_t bytes) {
    return has_variable(environ_text, bytes, "SHMFRAME_NODE", node->name) &&
           has_variable(environ_text, bytes, "SHMFRAME_SOCKET", node->server->socket_path) &&
           is_of_user(pid, node->config->user ? node->config->uid : geteuid());
}

/* Its number is the session's and the group's for as long as one of these is left; afterwards it
 * may be another's. */
static bool has_own_session(const struct node *node) {
    return node->pid && !census_is_other(node->pid, node->start_time);
}

static bool is_in_session(const struct node *node, const struct census_process *process) {
    return process->pid == node->pid || process->session == node->pid ||
           process->group == node->pid;
}

static bool is_older(const struct node *node, const struct census_process *process) {
    return node->pid && process->start_time < node->start_time;
}

uint64_t family_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const uint64_t ticks_per_s = (uint64_t)sysconf(_SC_CLK_TCK);
    return (uint64_t)now.tv_sec * ticks_per_s + (uint64_t)now.tv_nsec * ticks_per_s / 1000000000;
}

static bool is_node_itself(const struct node *node, const struct census_process *process) {
    return node->pid && !node->has_ended && process->pid == node->pid;
}

static bool is_in_part(const struct node *node, const struct census_process *process,
                       enum family_part part) {
    switch (part) {
    case FAMILY_ALL:
        break;
    case FAMILY_OUTSIDE_GROUP:
        return process->group != node->pid;
    case FAMILY_UNASKED:
        return process->start_time >= node->asked_ticks;
    }
    return true;
}

unsigned node_signal_family(const struct node *node, int signal_number, enum family_part part) {
    char *room = malloc(ENVIRON_BYTES_MAX);
    struct census census;
    const pid_t self = getpid();
    if (!room || !census_take(&census)) {
        free(room);
        return FAMILY_UNKNOWN;
    }
    const bool is_session_own = has_own_session(node);
    for (size_t i = 0; i < census.count; i++) {
        struct census_process *process = &census.process[i];
        if (process->pid == self || is_older(node, process))
            continue;
        process->is_ours =
            (is_session_own && is_in_session(node, process)) ||
            has_mark(node, process->pid, room, read_environ(process->pid, room, ENVIRON_BYTES_MAX));
    }
    census_mark_descendants(&census);
    unsigned count = 0;
    for (size_t i = 0; i < census.count; i++) {
        struct census_process *process = &census.process[i];
        if (!process->is_ours || is_node_itself(node, process)) {
            process->is_ours = false;
            continue;
        }
        count++;
        process->is_ours = is_in_part(node, process, part);
    }
    census_signal(&census, signal_number);
    census_destroy(&census);
    free(room);
    return count;
}

static struct node *find_by_session(const struct server *server,
                                    const struct census_process *process) {
    struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all)
        if (is_in_session(node, process) && !is_older(node, process) && has_own_session(node))
            return node;
    return NULL;
}

static struct node *find_by_mark(const struct server *server,
                                 const struct census_process *process) {
    char *room = malloc(ENVIRON_BYTES_MAX);
    const size_t bytes = room ? read_environ(process->pid, room, ENVIRON_BYTES_MAX) : 0;
    struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all)
        if (node->pid && !is_older(node, process) && has_mark(node, process->pid, room, bytes))
            break;
    free(room);
    return node;
}

struct node *pipeline_find_process(const struct server *server, pid_t pid) {
    struct census_process process;
    pid_t at = pid;
    for (unsigned i = 0; i < ANCESTORS_MAX && at > 1 && census_find(at, &process) == 0; i++) {
        struct node *node = find_by_session(server, &process);
        if (node)
            return node;
        at = process.parent;
    }
    return pid > 0 && census_find(pid, &process) == 0 ? find_by_mark(server, &process) : NULL;
}
