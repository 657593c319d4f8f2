/* Access: which users a stream is for. From text to numbers once; then numbers only. */
#ifndef SHMFRAME_SRC_ACCESS_H
#define SHMFRAME_SRC_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum access_kind {
    ACCESS_NOBODY = 0,
    ACCESS_USER,
    ACCESS_GROUP,
    ACCESS_ALL,
    ACCESS_KINDS,
};

/* As it stands in a message, too. */
struct access_rule {
    uint32_t kind; /* enum access_kind */
    uint32_t id;   /* uid or gid; else 0 */
};

enum { ACCESS_RULES_MAX = 8 };

/* Whoever one of the rules names. */
struct access {
    uint32_t count; /* 0: nothing is said; to say that it is nobody takes a rule */
    struct access_rule rule[ACCESS_RULES_MAX];
};

/* Who somebody is. */
struct access_who {
    uid_t uid;
    gid_t gid;
    const gid_t *group; /* supplementary ones */
    size_t groups;
};

/* "group video, user anna, user 1001", "all", "none". Asks for names where these are looked up, so
 * it may wait. Errors: -EINVAL, with what was expected. */
int access_parse(const char *text, struct access *out_access);

/* Whether a peer's rules are ones. */
bool access_is_valid(const struct access *access);

bool access_permits(const struct access *access, const struct access_who *who);

#endif
