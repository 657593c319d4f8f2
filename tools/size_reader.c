/* Readers, as the command line describes them. */
#include "size.h"

#include "consumer.h"
#include "option.h"

#include <string.h>

/* What stands before the '=', or all. */
static bool is_key(const char *word, const char *key) {
    const size_t length = strcspn(word, "=");
    return strlen(key) == length && strncmp(word, key, length) == 0;
}

static bool set_policy(struct sizing_reader *reader, const char *word) {
    for (unsigned policy = SHMFRAME_LATEST; policy <= SHMFRAME_LOSSLESS; policy++)
        if (strcmp(word, consumer_policy_name(policy)) == 0) {
            reader->policy = (enum shmframe_policy)policy;
            return true;
        }
    return false;
}

static void set_word(struct sizing_reader *reader, const char *word) {
    const struct option_spec keys[] = {
        {.name = "depth", .kind = OPTION_POSITIVE_COUNT, .out = &reader->depth},
        {.name = "leases", .kind = OPTION_POSITIVE_COUNT, .out = &reader->leases},
        {.name = "count", .kind = OPTION_POSITIVE_COUNT, .out = &reader->count},
        {.name = "hold", .kind = OPTION_DURATION, .out = &reader->longest_ns},
        {.name = "usual", .kind = OPTION_DURATION, .out = &reader->usual_ns},
        {.name = "late", .kind = OPTION_DURATION, .out = &reader->late_ns},
    };
    const char *value = strchr(word, '=');
    if (!value && set_policy(reader, word))
        return;
    for (size_t i = 0; value && i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!is_key(word, keys[i].name))
            continue;
        const char *wanted = option_store(&keys[i], value + 1);
        if (wanted)
            program_fail_usage("--reader: \"%s\" should be %s", word, wanted);
        if (keys[i].kind == OPTION_DURATION && *(int64_t *)keys[i].out > SIZING_NS_MAX)
            program_fail_usage("--reader: \"%s\" should be at most a day, 24h", word);
        return;
    }
    program_fail_usage("--reader: \"%s\" should be latest, in-order, lossless, depth=, leases=, "
                       "hold=, usual=, late= or count=",
                       word);
}

static void check(const struct sizing_reader *reader, const char *text) {
    enum { COUNT_MAX = 1000 };
    if (reader->leases > SHMFRAME_LEASES_MAX)
        program_fail_usage("--reader %s: a reader has at most %d leases", text,
                           SHMFRAME_LEASES_MAX);
    if (reader->depth > SHMFRAME_DEPTH_MAX)
        program_fail_usage("--reader %s: a depth is at most %d", text, SHMFRAME_DEPTH_MAX);
    if (reader->depth && reader->policy == SHMFRAME_LATEST)
        program_fail_usage("--reader %s: depth= needs in-order or lossless", text);
    if (reader->usual_ns > reader->longest_ns)
        program_fail_usage("--reader %s: the usual hold is longer than the longest, hold=", text);
    if (reader->count > COUNT_MAX)
        program_fail_usage("--reader %s: at most %d are counted", text, COUNT_MAX);
}

void size_add_reader(struct size_question *question, const char *text) {
    enum { DEPTH = 4 }; /* what a reader gets that does not say, see reader.h */
    struct sizing_reader reader = {.count = 1, .leases = 1};
    char words[256];
    if (strlen(text) >= sizeof(words))
        program_fail_usage("--reader %.40s...: too long", text);
    strcpy(words, text);
    char *rest = words;
    for (const char *word; (word = strsep(&rest, ","));)
        set_word(&reader, word);
    check(&reader, text);
    if (reader.policy != SHMFRAME_LATEST && reader.depth == 0)
        reader.depth = DEPTH;
    question->reader[question->readers++] = reader;
}
