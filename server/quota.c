#include "quota.h"

#include "error.h"
#include "limits.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* ---- who asks ---- */

struct asker {
    const struct server *server;
    const struct client *client;   /* NULL: it is none yet */
    const struct process *process; /* NULL: not known yet */
    uid_t uid;
};

static bool counts(const struct client *client, enum quota_resource resource,
                   enum quota_scope scope, const struct asker *asker) {
    switch (scope) {
    case QUOTA_SESSION:
        return client == asker->client;
    case QUOTA_PROCESS: /* one that comes back has left its former session behind */
        return client->process == asker->process &&
               (client->socket >= 0 || resource != QUOTA_SESSIONS);
    case QUOTA_USER:
        return client->uid == asker->uid;
    case QUOTA_ALL:
    case QUOTA_SCOPES:
        break;
    }
    return true;
}

/* As counts(), of whoever a link was granted to. What a process has not claimed since the former
 * supervisor is none of its sessions' yet. */
static bool counts_link(const struct stream_link *link, enum quota_resource resource,
                        enum quota_scope scope, const struct asker *asker) {
    if (link->reader)
        return counts(link->reader->client, resource, scope, asker);
    const bool is_complete = link->ring == link->ring->writer->ring; /* and thus measured */
    if (link->state != LINK_HELD || !is_complete || link->charge == CHARGE_NONE ||
        (link->charge == CHARGE_READER && resource == QUOTA_MEMORY))
        return false;
    switch (scope) {
    case QUOTA_SESSION:
        return false;
    case QUOTA_PROCESS:
        return link->holder == asker->process;
    case QUOTA_USER:
        return link->holder->uid == asker->uid;
    case QUOTA_ALL:
    case QUOTA_SCOPES:
        break;
    }
    return true;
}

/* ---- what is used ---- */

static uint64_t count_leases(const struct client *client) {
    uint64_t leases = 0;
    const struct stream_reader *reader;
    TAILQ_FOREACH (reader, &client->readers, of_client)
        leases += reader->leases;
    return leases;
}

/* Who came back for a link has no more of it than he says himself, whatever its writer told. */
static struct grant find_grant(const struct stream_link *link) {
    struct grant grant = link->grant;
    if (link->reader && link->reader->depth < grant.depth)
        grant.depth = link->reader->depth;
    if (link->reader && link->reader->leases < grant.leases)
        grant.leases = link->reader->leases;
    return grant;
}

/* Slots that readers have of a ring beyond what its writer keeps for all, those who count and one
 * that is to join. A depth is borne by all of them who want it: nobody hands it on to himself. */
static uint32_t count_slots(const struct stream_ring *ring, enum quota_scope scope,
                            const struct asker *asker, const struct grant *joining) {
    uint32_t history = ring->history, leased = 0;
    const struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring) {
        if (!counts_link(link, QUOTA_MEMORY, scope, asker))
            continue;
        const struct grant grant = find_grant(link);
        history = grant.depth > history ? grant.depth : history;
        leased += grant_slots(grant);
    }
    if (joining) {
        history = joining->depth > history ? joining->depth : history;
        leased += grant_slots(*joining);
    }
    return history - ring->history + leased;
}

/* Of the whole, what is not its readers'. */
static uint64_t writer_bytes(const struct stream_ring *ring) {
    const uint64_t bytes = stream_ring_granted_bytes(ring);
    const uint64_t of_readers =
        count_slots(ring, QUOTA_ALL, NULL, NULL) * ring->geometry.slot_stride;
    return bytes > of_readers ? bytes - of_readers : 0;
}

static uint64_t count_ring(const struct stream_ring *ring, enum quota_scope scope,
                           const struct asker *asker) {
    const bool is_writers = counts(ring->writer->client, QUOTA_MEMORY, scope, asker);
    return (is_writers ? writer_bytes(ring) : 0) +
           count_slots(ring, scope, asker, NULL) * ring->geometry.slot_stride;
}

static uint64_t count_memory(enum quota_scope scope, const struct asker *asker) {
    uint64_t bytes = 0;
    const struct stream *stream;
    TAILQ_FOREACH (stream, &asker->server->streams, all) {
        if (stream->writer)
            bytes += count_ring(stream->writer->ring, scope, asker);
        if (stream->opener)
            bytes += count_ring(stream->opener->opening, scope, asker);
    }
    return bytes;
}

static uint64_t count_of(const struct client *client, enum quota_resource resource) {
    switch (resource) {
    case QUOTA_SESSIONS:
        return 1;
    case QUOTA_STREAMS:
        return client->writer_count;
    case QUOTA_READERS:
        return client->reader_count;
    case QUOTA_LEASES:
        return count_leases(client);
    case QUOTA_DESCRIPTORS:
        return client_count_fds(client);
    case QUOTA_MEMORY: /* of rings, not of sessions */
    case QUOTA_RESOURCES:
        break;
    }
    return 0;
}

/* Readers that are not back yet, or their leases. */
static uint64_t count_held(enum quota_resource resource, enum quota_scope scope,
                           const struct asker *asker) {
    uint64_t used = 0;
    const struct stream *stream;
    const struct stream_link *link;
    if (resource != QUOTA_READERS && resource != QUOTA_LEASES)
        return 0;
    TAILQ_FOREACH (stream, &asker->server->streams, all)
        if (stream->writer)
            TAILQ_FOREACH (link, &stream->writer->ring->links, of_ring)
                if (link->state == LINK_HELD && counts_link(link, resource, scope, asker))
                    used += resource == QUOTA_READERS ? 1 : link->grant.leases;
    return used;
}

static uint64_t count_used(enum quota_resource resource, enum quota_scope scope,
                           const struct asker *asker) {
    if (resource == QUOTA_MEMORY)
        return count_memory(scope, asker);
    uint64_t used = count_held(resource, scope, asker);
    const struct client *client;
    TAILQ_FOREACH (client, &asker->server->clients, all)
        if (counts(client, resource, scope, asker))
            used += count_of(client, resource);
    return used;
}

uint64_t quota_used(const struct server *server, enum quota_resource resource) {
    return count_used(resource, QUOTA_ALL, &(struct asker){.server = server});
}

/* ---- against what may be used ---- */

static bool applies(enum quota_scope scope, const struct asker *asker) {
    switch (scope) {
    case QUOTA_SESSION:
        return asker->client;
    case QUOTA_PROCESS:
        return asker->process;
    case QUOTA_USER:
        return asker->uid != 0 && asker->uid != geteuid();
    case QUOTA_ALL:
    case QUOTA_SCOPES:
        break;
    }
    return true;
}

static void name_scope(char out[48], enum quota_scope scope, const struct asker *asker) {
    if (scope == QUOTA_SESSION)
        strcpy(out, "the session has");
    else if (scope == QUOTA_PROCESS)
        snprintf(out, 48, "process %d has", (int)asker->process->pid);
    else if (scope == QUOTA_USER)
        snprintf(out, 48, "user %u has", (unsigned)asker->uid);
    else
        strcpy(out, "all together have");
}

/* In the limit's scale, whatever the amount. */
static void print_amount(char out[32], enum quota_resource resource, uint64_t limit,
                         uint64_t amount) {
    if (resource == QUOTA_MEMORY && limit < UINT64_C(16) << 20)
        snprintf(out, 32, "%" PRIu64 " KiB", (amount + 1023) >> 10);
    else if (resource == QUOTA_MEMORY)
        snprintf(out, 32, "%" PRIu64 " MiB", (amount + (1 << 20) - 1) >> 20);
    else
        snprintf(out, 32, "%" PRIu64, amount);
}

/* Where the limit is from, and what to do about it. */
static void print_remedy(char out[192], const struct server *server, enum settings_origin origin,
                         const char *key) {
    switch (origin) {
    case ORIGIN_DEFAULT:
        snprintf(out, 192,
                 ", the default: set %s in [limits] of shmframed.conf, then shmframe reload", key);
        return;
    case ORIGIN_FILE:
        snprintf(out, 192, ": raise %s in [limits] of %.100s, then shmframe reload", key,
                 server->settings_path);
        return;
    case ORIGIN_OPTION:
        snprintf(out, 192,
                 ", from --limit, which counts more than shmframed.conf: start shmframed with a "
                 "higher one");
        return;
    }
}

static int refuse(const struct asker *asker, enum quota_resource resource, enum quota_scope scope,
                  const uint64_t amount[3]) {
    char who[48], used[32], more[32], limit[32], remedy[192];
    name_scope(who, scope, asker);
    print_amount(used, resource, amount[2], amount[0]);
    print_amount(more, resource, amount[2], amount[1]);
    print_amount(limit, resource, amount[2], amount[2]);
    const char *key = settings_limit_name(resource, scope);
    print_remedy(remedy, asker->server, asker->server->settings.origin[resource][scope], key);
    return error_set(-ENOSPC, "%s: %s %s, and %s more would be above the limit of %s%s", key, who,
                     used, more, limit, remedy);
}

/* Who has to look when others have used up the sessions can do so. */
static uint64_t find_limit(const struct asker *asker, enum quota_resource resource,
                           enum quota_scope scope) {
    const uint64_t limit = asker->server->settings.limit[resource][scope];
    const bool has_reserve = resource == QUOTA_SESSIONS && scope == QUOTA_ALL &&
                             (asker->uid == 0 || asker->uid == geteuid());
    return has_reserve && limit < QUOTA_NONE - LIMIT_SESSIONS_RESERVED
               ? limit + LIMIT_SESSIONS_RESERVED
               : limit;
}

static int check_scope(const struct asker *asker, enum quota_resource resource,
                       enum quota_scope scope, uint64_t more) {
    const uint64_t limit = find_limit(asker, resource, scope);
    if (limit == QUOTA_NONE || more == 0 || !applies(scope, asker))
        return 0;
    const uint64_t used = count_used(resource, scope, asker);
    if (used <= limit && more <= limit - used)
        return 0;
    return refuse(asker, resource, scope, (const uint64_t[]){used, more, limit});
}

static int check(const struct asker *asker, enum quota_resource resource, uint64_t more) {
    int code = 0;
    for (unsigned scope = 0; scope < QUOTA_SCOPES && code == 0; scope++)
        code = check_scope(asker, resource, (enum quota_scope)scope, more);
    return code;
}

static struct asker asker_of(const struct client *client) {
    return (struct asker){client->server, client, client->process, client->uid};
}

int quota_check(const struct client *client, enum quota_resource resource, uint64_t more) {
    const struct asker asker = asker_of(client);
    return check(&asker, resource, more);
}

int quota_check_session(const struct server *server, uid_t uid, const struct process *process) {
    const struct asker asker = {.server = server, .uid = uid, .process = process};
    return check(&asker, QUOTA_SESSIONS, 1);
}

int quota_check_ring(const struct client *client, const struct stream_ring *ring,
                     const struct stream_ring *former) {
    const uint64_t bytes = stream_ring_granted_bytes(ring);
    uint64_t less = 0;
    if (former)
        less = stream_ring_is_same(ring, former) ? stream_ring_granted_bytes(former)
                                                 : writer_bytes(former);
    return quota_check(client, QUOTA_MEMORY, bytes > less ? bytes - less : 0);
}

int quota_check_held(const struct client *client, const struct stream_ring *ring,
                     const struct stream_ring *former) {
    const struct stream_ring *known = former && stream_ring_is_same(ring, former) ? former : ring;
    const uint64_t there = stream_ring_granted_bytes(known);
    const uint64_t bytes =
        ring->geometry.payload_offset + stream_link_count_slots(ring) * ring->geometry.slot_stride;
    return quota_check(client, QUOTA_MEMORY, bytes > there ? bytes - there : 0);
}

/* ---- slots ---- */

static int check_share(const struct stream_ring *ring, uint32_t slots, unsigned percent,
                       enum settings_origin origin, const char *key) {
    const uint32_t kept = ring->loans + ring->history + 1;
    const uint32_t room = ring->geometry.slots > kept ? ring->geometry.slots - kept : 0;
    const uint32_t share = (room * percent + 99) / 100;
    if (percent == 100 || slots <= share)
        return 0;
    char remedy[192];
    print_remedy(remedy, ring->writer->client->server, origin, key);
    return error_set(-ENOSPC,
                     "%s: %u of the %u slots of '%.64s' for readers are more than %u%%: ask for "
                     "less depth or fewer leases; the limit%s",
                     key, slots, room, ring->geometry.stream, percent, remedy);
}

int quota_check_slots(const struct stream_ring *ring, const struct stream_reader *reader,
                      struct grant wanted, uint32_t unused) {
    const struct client *client = reader->client;
    const struct settings *settings = &client->server->settings;
    const uint64_t stride = ring->geometry.slot_stride;
    const bool is_stranger =
        client->uid != 0 && client->uid != geteuid() && client->uid != ring->writer->client->uid;
    const struct asker asker = asker_of(client);
    uint32_t slots[QUOTA_ALL];
    for (unsigned scope = 0; scope < QUOTA_ALL; scope++)
        slots[scope] = count_slots(ring, (enum quota_scope)scope, &asker, &wanted);
    int code = check_share(ring, slots[QUOTA_SESSION], settings->slots_percent_of_session,
                           settings->slots_origin_of_session, "slots-per-session");
    if (code == 0 && is_stranger)
        code = check_share(ring, slots[QUOTA_USER], settings->slots_percent_of_user,
                           settings->slots_origin_of_user, "slots-per-user");
    for (unsigned i = 0; i < QUOTA_ALL && code == 0; i++) {
        const enum quota_scope scope = (enum quota_scope)i;
        const uint32_t more = slots[scope] - count_slots(ring, scope, &asker, NULL);
        code = check_scope(&asker, QUOTA_MEMORY, scope, more * stride);
    }
    /* What others have left is there already. */
    if (code == 0)
        code = check_scope(&asker, QUOTA_MEMORY, QUOTA_ALL, unused * stride);
    return code;
}
