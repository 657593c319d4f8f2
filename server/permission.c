#include "permission.h"

#include "error.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* Linux 4.13 */
#endif

/* Who is in more groups than that is taken for a member of the first ones only. */
enum { GROUPS_MAX = 1024 };

static int read_groups(int socket, struct access_who *who) {
    gid_t few[32];
    socklen_t bytes = sizeof(few);
    gid_t *group = malloc(GROUPS_MAX * sizeof(*group));
    if (!group)
        return error_set(-ENOMEM, "the supervisor has no memory");
    socklen_t most = GROUPS_MAX * sizeof(*group);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, few, &bytes) == 0) {
        memcpy(group, few, bytes);
    } else if (errno == ERANGE &&
               getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, group, &most) == 0) {
        bytes = most;
    } else {
        bytes = 0; /* his first group still counts */
    }
    who->groups = bytes / sizeof(*group);
    gid_t *less = realloc(group, bytes ? bytes : 1);
    who->group = less ? less : group;
    return 0;
}

static bool is_trusted(const struct server *server, const struct access_who *who) {
    if (who->uid == 0 || who->uid == geteuid() || access_permits(&server->settings.trust, who))
        return true;
    for (unsigned i = 0; i < server->params->allowed_uids; i++)
        if (server->params->allowed_uid[i] == who->uid)
            return true;
    return false;
}

/* Whether there may be a stream for him. */
static bool may_read_any(const struct server *server, const struct access_who *who) {
    const struct settings *settings = &server->settings;
    if (access_permits(&settings->allow, who))
        return true;
    for (size_t i = 0; i < settings->streams; i++)
        if (access_permits(&settings->stream[i].allow, who))
            return true;
    const struct stream *stream;
    TAILQ_FOREACH (stream, &server->streams, all)
        if (stream->writer && access_permits(&stream->writer->ring->allow, who))
            return true;
    return false;
}

int permission_find(const struct server *server, int socket, const struct ucred *peer,
                    struct permission *out_permission) {
    struct permission permission = {.who = {.uid = peer->uid, .gid = peer->gid}};
    int code = 0;
    if (peer->uid != 0 && peer->uid != geteuid())
        code = read_groups(socket, &permission.who);
    if (code < 0)
        return code;
    permission.is_trusted = is_trusted(server, &permission.who);
    permission.may_write =
        permission.is_trusted || access_permits(&server->settings.write, &permission.who);
    if (!permission.may_write && !may_read_any(server, &permission.who)) {
        permission_destroy(&permission);
        return error_set(-EACCES,
                         "user %u may read no stream here: its producer's --allow 'user %u' lets "
                         "him, and [access] of shmframed.conf says what else he may",
                         (unsigned)peer->uid, (unsigned)peer->uid);
    }
    *out_permission = permission;
    return 0;
}

void permission_destroy(struct permission *permission) {
    free((void *)permission->who.group);
    *permission = (struct permission){0};
}

int permission_check_write(const struct client *client) {
    if (client->permission.may_write)
        return 0;
    return error_set(
        -EACCES,
        "user %u may read streams here, not write them: write = user %u, in [access] of "
        "shmframed.conf, lets him",
        (unsigned)client->uid, (unsigned)client->uid);
}

int permission_check_read(const struct client *client, const struct stream_ring *ring) {
    const struct access_who *who = &client->permission.who;
    const char *stream = ring->geometry.stream;
    const uid_t writer_uid = ring->writer->client->uid;
    const struct access *allow =
        ring->allow.count ? &ring->allow : settings_allow(&client->server->settings, stream);
    if (client->permission.is_trusted || who->uid == writer_uid || access_permits(allow, who))
        return 0;
    return error_set(
        -EACCES,
        "user %u may not read stream '%s' of user %u: its producer's --allow, or allow = "
        "in [stream %s] of shmframed.conf, lets others",
        (unsigned)who->uid, stream, (unsigned)writer_uid, stream);
}

int permission_check_writer(const struct client *client, const struct stream *stream) {
    if (client->permission.is_trusted || !stream->writer ||
        stream->writer->client->uid == client->uid)
        return 0;
    return error_set(
        -EACCES,
        "user %u may read stream '%s' of user %u, not ask its writer for anything or make "
        "it wait",
        (unsigned)client->uid, stream->name, (unsigned)stream->writer->client->uid);
}
