/* Commands to the supervisor, from whoever it belongs to. */
#include "pipeline.h"

#include "closer.h"
#include "error.h"
#include "quota.h"
#include "server.h"
#include "upgrade.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/limits.h> /* our own limits.h hides the other */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Others' places in a client's queue must not be filled by one answer. */
enum { LINES_MAX = 100 };

struct answer {
    struct client *client;
    uint32_t cookie;
    unsigned lines;
};

static void send_line(struct answer *answer, const char *text) {
    union message message;
    message_init(&message, MESSAGE_LINE, answer->cookie);
    message_put_text(message.line.text, sizeof(message.line.text), text);
    client_send(answer->client, &message, NULL);
}

static void on_line(void *user, const char *text) {
    struct answer *answer = user;
    answer->lines++;
    if (answer->lines < LINES_MAX)
        send_line(answer, text);
    else if (answer->lines == LINES_MAX)
        send_line(answer, "... and more");
}

static int reload(struct client *client, const struct message_command *command) {
    struct answer answer = {.client = client, .cookie = command->header.cookie};
    const struct pipeline_listener listener = {on_line, &answer};
    if (command->node[0])
        return error_set(-EINVAL, "'reload' is for the whole file: no node is named");
    const int code = server_reload_settings(client->server, &listener);
    if (code < 0 || !client->server->pipeline.plan)
        return code;
    return pipeline_reload(client->server, &listener);
}

/* Once the answer is sent: see server.c. */
static int upgrade(struct client *client, const struct message_command *command) {
    struct answer answer = {.client = client, .cookie = command->header.cookie};
    if (command->node[0])
        return error_set(-EINVAL, "'upgrade' is for the supervisor: no node is named");
    if (client->server->pipeline.is_ending)
        return error_set(-EBUSY, "the supervisor is ending");
    int code = closer_await(CLOSER_PATIENCE_NS); /* the program that is tried would wait for it */
    if (code < 0)
        return code;
    closer_hold_memory(true);
    code = upgrade_check(on_line, &answer);
    closer_hold_memory(false);
    if (code == 0)
        client->server->upgrade_due_ns = shmframe_now_ns();
    return code;
}

/* "settings PATH": of the file that counts, if there is one. "program PATH", and "replaced" if that
 * file is no more the one that runs: nobody but ourselves can see it. "limit KEY USED LIMIT" of
 * each that is of all together. */
static int describe(struct client *client, const struct message_command *command) {
    const struct server *server = client->server;
    struct answer answer = {.client = client, .cookie = command->header.cookie};
    char line[8192], path[PATH_MAX];
    if (server->settings_path[0]) {
        snprintf(line, sizeof(line), "settings %s", server->settings_path);
        send_line(&answer, line);
    }
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    char *end = strstr(path, " (deleted)");
    const bool is_replaced = end && strcmp(end, " (deleted)") == 0;
    if (is_replaced)
        *end = '\0';
    snprintf(line, sizeof(line), "program %s", path);
    send_line(&answer, line);
    if (is_replaced)
        send_line(&answer, "replaced");
    for (unsigned r = 0; r < QUOTA_RESOURCES; r++) {
        const enum quota_resource resource = (enum quota_resource)r;
        const uint64_t limit = server->settings.limit[resource][QUOTA_ALL];
        if (limit == QUOTA_NONE)
            continue;
        snprintf(line, sizeof(line), "limit %s %" PRIu64 " %" PRIu64,
                 settings_limit_name(resource, QUOTA_ALL), quota_used(server, resource), limit);
        send_line(&answer, line);
    }
    return 0;
}

static int start(struct client *client, const struct message_command *command) {
    return pipeline_start(client->server, command->node);
}

static int stop(struct client *client, const struct message_command *command) {
    return pipeline_stop(client->server, command->node);
}

static int restart(struct client *client, const struct message_command *command) {
    return pipeline_restart(client->server, command->node);
}

static const struct {
    const char *verb;
    int (*act)(struct client *, const struct message_command *);
    bool needs_file;
} commands[] = {
    {"start", start, true},    {"stop", stop, true},        {"restart", restart, true},
    {"reload", reload, false}, {"upgrade", upgrade, false}, {"describe", describe, false},
};

static int act(struct client *client, const struct message_command *command) {
    if (client->uid != 0 && client->uid != geteuid())
        return error_set(-EACCES, "only root and the supervisor's user may do that");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].verb, command->verb) != 0)
            continue;
        if (commands[i].needs_file && !client->server->pipeline.plan)
            return error_set(-ENOTSUP, "the supervisor has no nodes: start it with --config FILE");
        return commands[i].act(client, command);
    }
    return error_set(-EINVAL, "the supervisor has no command '%s'", command->verb);
}

int command_do(struct client *client, struct channel_mail *mail) {
    const struct message_command *command = &mail->message.command;
    const int code = act(client, command);
    if (code < 0)
        client_refuse(client, command->header.cookie, code, "%s", shmframe_last_error());
    else
        client_done(client, command->header.cookie);
    return 0;
}
