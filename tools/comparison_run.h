/* A run to compare: what run.json of a report says of one stream, checked. */
#ifndef TOOLS_COMPARISON_RUN_H
#define TOOLS_COMPARISON_RUN_H

#include "run_block.h"

#include <jansson.h>
#include <stdbool.h>

/* What two runs should have in common. */
enum comparison_fact {
    COMPARISON_STREAM = 0,
    COMPARISON_FORMAT,
    COMPARISON_HOST,
    COMPARISON_KERNEL,
    COMPARISON_PROCESSOR,
    COMPARISON_PROCESSORS,
    COMPARISON_GOVERNOR,
    COMPARISON_LIBRARY,
    COMPARISON_FACTS,
};
/* "stream", "format" ... */
const char *comparison_fact_name(enum comparison_fact fact);

enum { COMPARISON_FACT_BYTES = 192 };

struct comparison_run {
    char fact[COMPARISON_FACTS][COMPARISON_FACT_BYTES];
    int64_t duration_ns, block_ns;
    int64_t outage_ns;              /* the longest time without a frame; -1: not told */
    bool has_not_event[RUN_EVENTS]; /* an older shmframe wrote it, which did not count them */
    struct run_block *block;
    size_t blocks;
};

struct comparison_file {
    const char *path; /* borrowed */
    struct comparison_run *run;
    size_t runs;
};

enum { COMPARISON_REASON_BYTES = 256 };
/* Reads and checks a file. False, and why, in words that go on after the file's name: it is not
 * there, no run.json, cut off, or its figures cannot be. */
bool comparison_file_read(const char *path, struct comparison_file *out_file,
                          char reason[COMPARISON_REASON_BYTES]);
void comparison_file_finish(struct comparison_file *file);

/* The run of that stream; NULL: there is none. */
const struct comparison_run *comparison_file_find(const struct comparison_file *file,
                                                  const char *stream);

/* As its format tells. */
enum comparison_medium { COMPARISON_PICTURE = 0, COMPARISON_SOUND, COMPARISON_OTHER };
enum comparison_medium comparison_run_medium(const struct comparison_run *run);
/* The only run of that medium, COMPARISON_OTHER: the only one of all; NULL: there is none, or
 * another one beside it. */
const struct comparison_run *comparison_file_only(const struct comparison_file *file,
                                                  enum comparison_medium medium);

/* All that is compared is equal: it is the same run, or a copy of it. */
bool comparison_run_is_same(const struct comparison_run *one, const struct comparison_run *other);

#endif
