/* Settings: shmframed.conf, which says who may use the supervisor, and how much of it.
 * shmframed.conf(5) tells of every key.
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "access.h"
#include "config.h"

#include <shmframe/format.h>

/* What there is only so much of. */
enum quota_resource {
    QUOTA_SESSIONS = 0,
    QUOTA_STREAMS, /* written */
    QUOTA_READERS,
    QUOTA_LEASES,      /* that readers may hold at once */
    QUOTA_MEMORY,      /* bytes that rings may take for what was granted */
    QUOTA_DESCRIPTORS, /* that the supervisor keeps for others */
    QUOTA_RESOURCES,
};

/* Of whom. */
enum quota_scope {
    QUOTA_SESSION = 0,
    QUOTA_PROCESS,
    QUOTA_USER, /* of each but root and the supervisor's own */
    QUOTA_ALL,
    QUOTA_SCOPES,
};

#define QUOTA_NONE UINT64_MAX

/* Who can open the socket's file; whom the supervisor then serves is another question. */
enum settings_reach {
    REACH_OWN = 0, /* the supervisor's user */
    REACH_GROUP,
    REACH_ALL,
};

/* Where a limit is from. */
enum settings_origin {
    ORIGIN_DEFAULT = 0,
    ORIGIN_FILE,
    ORIGIN_OPTION,
};

struct settings_stream {
    char name[SHMFRAME_NAME_BYTES];
    unsigned line;
    struct access allow;
};

struct settings {
    uint64_t limit[QUOTA_RESOURCES][QUOTA_SCOPES];
    enum settings_origin origin[QUOTA_RESOURCES][QUOTA_SCOPES];
    unsigned slots_percent_of_session; /* of the slots that a stream has for readers */
    unsigned slots_percent_of_user;    /* likewise, of each but the writer's */
    enum settings_origin slots_origin_of_session, slots_origin_of_user;
    struct access trust; /* as the supervisor's own user */
    struct access write; /* may write streams */
    struct access allow; /* may read streams, by default */
    enum settings_reach reach;
    gid_t reach_gid; /* REACH_GROUP */
    struct settings_stream *stream;
    size_t streams;
};

/* "memory-per-user"; NULL: there is no such limit. */
const char *settings_limit_name(enum quota_resource resource, enum quota_scope scope);

/* What counts without a file; `memory_bytes` is the machine's. */
void settings_init(struct settings *settings, uint64_t memory_bytes);
void settings_destroy(struct settings *settings);

/* Adds what a file says, which must be root's or this user's, and writable by its owner alone.
 * Returns 0, -EINVAL with its mistakes in out_problems, or -ENOMEM. */
int settings_load(const char *path, struct settings *settings,
                  struct config_problems *out_problems);
int settings_parse(const char *bytes, size_t count, struct settings *settings,
                   struct config_problems *out_problems);

/* "readers=100", a key of [limits], of an option; "group video", the values of keys of [access].
 * Errors: -EINVAL with what was expected. */
int settings_set_limit(struct settings *settings, const char *text);
int settings_set_allow(struct settings *settings, const char *text);
int settings_set_reach(struct settings *settings, const char *text);

/* Where settings come from: an option counts more than the file. */
struct settings_source {
    const char *path;         /* NULL: one of those where they usually are, if it is there */
    const char *const *limit; /* texts of --limit */
    size_t limits;
    const char *allow, *reach; /* NULL: not said */
};

/* Reads them all. `out_path` is the file's, "" without one. Returns 0, -EINVAL with the file's
 * mistakes, or with none and the sentence for an option, or -ENOMEM. out_problems is to be
 * destroyed. */
int settings_read(const struct settings_source *source, struct settings *out_settings,
                  char out_path[4096], struct config_problems *out_problems);

/* Whom the settings let read the stream; never NULL. */
const struct access *settings_allow(const struct settings *settings, const char *stream);

#endif
