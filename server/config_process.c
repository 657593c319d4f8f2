/* Values that say what a process is allowed, and on which CPUs. */
#include "config_value.h"
#include "option.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static bool read_count(const char *text, uint32_t *out_count) {
    const struct option_spec spec = {.kind = OPTION_COUNT, .out = out_count};
    return option_store(&spec, text) == NULL;
}

static char *copy(const char *text, struct config_place *place) {
    char *kept = strdup(text);
    if (!kept)
        place->problems->is_out_of_memory = true;
    return kept;
}

const char *config_read_user(const char *text, void *out, struct config_place *place) {
    struct config_node *node = out;
    uint32_t number;
    const struct passwd *user = read_count(text, &number) ? getpwuid(number) : getpwnam(text);
    if (!user)
        return "a user whom this machine knows";
    if (geteuid() != 0 && user->pw_uid != geteuid())
        return "the user who runs the supervisor, since that is not root";
    free(node->user);
    free(node->home);
    node->uid = user->pw_uid;
    if (!node->has_group)
        node->gid = user->pw_gid;
    node->user = copy(user->pw_name, place);
    node->home = copy(user->pw_dir, place);
    return NULL;
}

const char *config_read_group(const char *text, void *out, struct config_place *place) {
    struct config_node *node = out;
    uint32_t number;
    const struct group *group = read_count(text, &number) ? getgrgid(number) : getgrnam(text);
    (void)place;
    if (!group)
        return "a group that this machine knows";
    if (geteuid() != 0 && group->gr_gid != getegid())
        return "the group that runs the supervisor, since that is not root";
    node->gid = group->gr_gid;
    node->has_group = true;
    return NULL;
}

/* One item of a list of CPUs: "3" or "0-1". */
static bool read_range(const char **text, unsigned *out_first, unsigned *out_last) {
    char *end;
    if (!isdigit((unsigned char)**text))
        return false;
    unsigned long first = strtoul(*text, &end, 10), last = first;
    if (*end == '-' && isdigit((unsigned char)end[1]))
        last = strtoul(end + 1, &end, 10);
    *text = end;
    *out_first = (unsigned)(first < CPU_SETSIZE ? first : CPU_SETSIZE);
    *out_last = (unsigned)(last < CPU_SETSIZE ? last : CPU_SETSIZE);
    return first <= last;
}

const char *config_read_cpus(const char *text, void *out, struct config_place *place) {
    struct config_node *node = out;
    const unsigned cpus = (unsigned)get_nprocs_conf();
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const char *at = text;; at++) {
        unsigned first, last;
        if (!read_range(&at, &first, &last) || last >= cpus || last >= CPU_SETSIZE ||
            (*at && *at != ',')) {
            snprintf(place->expected, sizeof(place->expected),
                     "CPUs such as 0-1,3; this machine has 0 to %u", cpus - 1);
            return place->expected;
        }
        for (unsigned cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, &set);
        if (!*at)
            break;
    }
    node->cpus = set;
    node->has_cpus = true;
    return NULL;
}

const char *config_read_scheduling(const char *text, void *out, struct config_place *place) {
    static const struct {
        const char *name;
        int policy;
        bool has_priority;
    } classes[] = {
        {"other", SCHED_OTHER, false}, {"batch", SCHED_BATCH, false}, {"idle", SCHED_IDLE, false},
        {"fifo", SCHED_FIFO, true},    {"rr", SCHED_RR, true},
    };
    struct config_node *node = out;
    const size_t length = strcspn(text, ":");
    (void)place;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        uint32_t priority = 0;
        if (strlen(classes[i].name) != length || strncmp(text, classes[i].name, length) != 0)
            continue;
        if (classes[i].has_priority != (text[length] == ':') ||
            (classes[i].has_priority &&
             (!read_count(text + length + 1, &priority) || priority < 1 || priority > 99)))
            break;
        node->has_scheduling = true;
        node->scheduling_policy = classes[i].policy;
        node->scheduling_priority = (int)priority;
        return NULL;
    }
    return "other, batch, idle, or fifo:N or rr:N with a priority N from 1 to 99";
}

const char *config_read_nice(const char *text, void *out, struct config_place *place) {
    struct config_node *node = out;
    const bool is_negative = *text == '-';
    uint32_t level;
    (void)place;
    if (!read_count(text + is_negative, &level) || level > (is_negative ? 20 : 19))
        return "a whole number from -20 to 19";
    node->nice = is_negative ? -(int)level : (int)level;
    node->has_nice = true;
    return NULL;
}

/* Limits. */

enum unit { COUNT, BYTES, SECONDS, MICROSECONDS };

static const struct {
    const char *name;
    int resource;
    enum unit unit;
} resources[] = {
    {"as", RLIMIT_AS, BYTES},
    {"core", RLIMIT_CORE, BYTES},
    {"cpu", RLIMIT_CPU, SECONDS},
    {"fsize", RLIMIT_FSIZE, BYTES},
    {"memlock", RLIMIT_MEMLOCK, BYTES},
    {"nofile", RLIMIT_NOFILE, COUNT},
    {"nproc", RLIMIT_NPROC, COUNT},
    {"rtprio", RLIMIT_RTPRIO, COUNT},
    {"rttime", RLIMIT_RTTIME, MICROSECONDS},
    {"stack", RLIMIT_STACK, BYTES},
};
static const char limits_expected[] =
    "limits such as nofile=4096 or memlock=64M:unlimited, of as, core, cpu, fsize, memlock, "
    "nofile, nproc, rtprio, rttime, stack";

static bool read_bytes(const char *text, rlim_t *out_value) {
    static const char units[] = "KMGT";
    char *unit;
    errno = 0;
    const unsigned long long number = strtoull(text, &unit, 10);
    const char *known = *unit ? strchr(units, *unit) : NULL;
    const unsigned shift = known ? 10 * (unsigned)(known - units + 1) : 0;
    if (!isdigit((unsigned char)*text) || errno || number > (RLIM_INFINITY >> 1) >> shift ||
        (*unit && (!known || unit[1])))
        return false;
    *out_value = (rlim_t)number << shift;
    return true;
}

static bool read_rlimit_value(const char *text, enum unit unit, rlim_t *out_value) {
    int64_t ns;
    uint32_t count;
    const struct option_spec duration = {.kind = OPTION_DURATION, .out = &ns};
    if (strcmp(text, "unlimited") == 0) {
        *out_value = RLIM_INFINITY;
        return true;
    }
    switch (unit) {
    case COUNT:
        if (!read_count(text, &count))
            return false;
        *out_value = count;
        return true;
    case BYTES:
        return read_bytes(text, out_value);
    case SECONDS:
    case MICROSECONDS: {
        const int64_t unit_ns = unit == SECONDS ? 1000000000 : 1000;
        if (option_store(&duration, text))
            return false;
        *out_value = (rlim_t)(ns / unit_ns + (ns % unit_ns != 0));
        return true;
    }
    }
    return false;
}

/* "NAME=VALUE" or "NAME=SOFT:HARD". */
static const char *read_rlimit(char *word, struct config_node *node) {
    char *value = strchr(word, '=');
    if (!value)
        return limits_expected;
    *value++ = '\0';
    char *hard = strchr(value, ':');
    if (hard)
        *hard++ = '\0';
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
        struct config_rlimit rlimit = {.resource = resources[i].resource};
        if (strcmp(word, resources[i].name) != 0)
            continue;
        if (!read_rlimit_value(value, resources[i].unit, &rlimit.value.rlim_cur) ||
            !read_rlimit_value(hard ? hard : value, resources[i].unit, &rlimit.value.rlim_max))
            return limits_expected;
        if (rlimit.value.rlim_cur > rlimit.value.rlim_max)
            return "limits whose second value, the hard one, is not below the first";
        for (size_t k = 0; k < node->rlimits; k++)
            if (node->rlimit[k].resource == rlimit.resource)
                return "each limit once";
        node->rlimit[node->rlimits++] = rlimit;
        return NULL;
    }
    return limits_expected;
}

const char *config_read_rlimits(const char *text, void *out, struct config_place *place) {
    const char *expected = *text ? NULL : limits_expected;
    char *words = copy(text, place);
    char *rest = words;
    for (char *word; words && !expected && (word = strsep(&rest, " \t"));)
        if (*word)
            expected = read_rlimit(word, out);
    free(words);
    return expected;
}
