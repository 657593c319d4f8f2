#include "access.h"

#include "error.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { RULE_BYTES = 256, NAMES_BYTES = 1 << 16 };

static bool parse_number(const char *text, uint32_t *out_id) {
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    /* The last one is "nobody in particular" to the kernel. */
    if (text[0] < '0' || text[0] > '9' || *end || errno || number >= UINT32_MAX)
        return false;
    *out_id = (uint32_t)number;
    return true;
}

static bool find_user(const char *name, char *buffer, uint32_t *out_id) {
    struct passwd entry, *found = NULL;
    if (getpwnam_r(name, &entry, buffer, NAMES_BYTES, &found) != 0 || !found)
        return false;
    *out_id = found->pw_uid;
    return true;
}

static bool find_group(const char *name, char *buffer, uint32_t *out_id) {
    struct group entry, *found = NULL;
    if (getgrnam_r(name, &entry, buffer, NAMES_BYTES, &found) != 0 || !found)
        return false;
    *out_id = found->gr_gid;
    return true;
}

static int parse_named(const char *name, bool is_group, struct access_rule *out_rule) {
    out_rule->kind = is_group ? ACCESS_GROUP : ACCESS_USER;
    if (parse_number(name, &out_rule->id))
        return 0;
    char *buffer = malloc(NAMES_BYTES);
    if (!buffer)
        return error_set(-ENOMEM, "no memory to look a name up");
    const bool is_found =
        is_group ? find_group(name, buffer, &out_rule->id) : find_user(name, buffer, &out_rule->id);
    free(buffer);
    if (is_found)
        return 0;
    return error_set(-EINVAL, "a %s that exists, by name or number (\"%.64s\" is none)",
                     is_group ? "group" : "user", name);
}

static int parse_rule(char *text, struct access_rule *out_rule) {
    static const char blanks[] = " \t";
    char *rest;
    const char *word = strtok_r(text, blanks, &rest);
    const char *name = strtok_r(NULL, blanks, &rest);
    const bool is_over = !name || !strtok_r(NULL, blanks, &rest);
    *out_rule = (struct access_rule){.kind = ACCESS_NOBODY};
    if (word && !name && strcmp(word, "none") == 0)
        return 0;
    if (word && !name && strcmp(word, "all") == 0) {
        out_rule->kind = ACCESS_ALL;
        return 0;
    }
    if (word && name && is_over && (strcmp(word, "user") == 0 || strcmp(word, "group") == 0))
        return parse_named(name, word[0] == 'g', out_rule);
    return error_set(-EINVAL, "\"user NAME\", \"group NAME\", \"all\" or \"none\", several with "
                              "commas between them");
}

/* With others they would say the same again, or the contrary. */
static bool has_one_too_many(const struct access *access) {
    for (uint32_t i = 0; access->count > 1 && i < access->count; i++)
        if (access->rule[i].kind == ACCESS_ALL || access->rule[i].kind == ACCESS_NOBODY)
            return true;
    return false;
}

int access_parse(const char *text, struct access *out_access) {
    struct access access = {0};
    for (const char *at = text;; at++) {
        char rule[RULE_BYTES];
        const size_t length = strcspn(at, ",");
        if (length >= sizeof(rule) || access.count == ACCESS_RULES_MAX)
            return error_set(-EINVAL, "at most %d users or groups, with names below %d bytes",
                             ACCESS_RULES_MAX, RULE_BYTES);
        memcpy(rule, at, length);
        rule[length] = '\0';
        const int code = parse_rule(rule, &access.rule[access.count++]);
        if (code < 0)
            return code;
        at += length;
        if (!*at)
            break;
    }
    if (has_one_too_many(&access))
        return error_set(-EINVAL, "users and groups, or \"all\" and \"none\" alone");
    *out_access = access;
    return 0;
}

bool access_is_valid(const struct access *access) {
    if (access->count > ACCESS_RULES_MAX)
        return false;
    for (uint32_t i = 0; i < access->count; i++)
        if (access->rule[i].kind >= ACCESS_KINDS)
            return false;
    return true;
}

static bool is_in_group(const struct access_who *who, gid_t gid) {
    for (size_t i = 0; i < who->groups; i++)
        if (who->group[i] == gid)
            return true;
    return who->gid == gid;
}

bool access_permits(const struct access *access, const struct access_who *who) {
    for (uint32_t i = 0; i < access->count; i++) {
        const struct access_rule *rule = &access->rule[i];
        if (rule->kind == ACCESS_ALL || (rule->kind == ACCESS_USER && rule->id == who->uid) ||
            (rule->kind == ACCESS_GROUP && is_in_group(who, rule->id)))
            return true;
    }
    return false;
}
