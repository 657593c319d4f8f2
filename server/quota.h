/* Quotas: what is used, by session, process, user and all, against the settings' limits.
 *
 * Nothing is kept here: what is used is counted when somebody asks for more, by walking what there
 * is.
 */
#ifndef SERVER_QUOTA_H
#define SERVER_QUOTA_H

#include "layout.h"
#include "settings.h"

struct client;
struct process;
struct server;
struct stream_reader;
struct stream_ring;

/* How much all together have, by the same count. */
uint64_t quota_used(const struct server *server, enum quota_resource resource);

/* Whether `client` may have so much more. Errors: -ENOSPC with the limit, its value and its key. */
int quota_check(const struct client *client, enum quota_resource resource, uint64_t more);

/* Whether there may be one more session of this user, and process if that is not NULL. */
int quota_check_session(const struct server *server, uid_t uid, const struct process *process);

/* Whether there is memory for the ring, which takes the place of `former`, or is the same, if that
 * is not NULL. */
int quota_check_ring(const struct client *client, const struct stream_ring *ring,
                     const struct stream_ring *former);

/* Whether there is memory for what the links of `ring`, which comes back, were granted, beyond what
 * it came with and, if `former` is the same memory, was granted already. */
int quota_check_held(const struct client *client, const struct stream_ring *ring,
                     const struct stream_ring *former);

/* Whether `reader` may have the ring's slots that `wanted` needs, of which `unused` never had
 * memory: it must leave some to others, and there must be memory for them. */
int quota_check_slots(const struct stream_ring *ring, const struct stream_reader *reader,
                      struct grant wanted, uint32_t unused);

#endif
