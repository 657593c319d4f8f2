/* Findings: what an examination of this machine noticed, what it costs, and what to do about it. */
#ifndef TOOLS_FINDING_H
#define TOOLS_FINDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum finding_level {
    FINDING_OK = 0,      /* as it should be, or nothing that can be told from here */
    FINDING_NOTE = 1,    /* costs something in some cases */
    FINDING_WARNING = 2, /* costs latency or frames */
    FINDING_FAILURE = 3, /* the programs do not work so */
};

struct finding {
    const char *topic, *name; /* "memory", "swap"; constant texts */
    enum finding_level level;
    char found[320];
    char cost[320];   /* "": none */
    char remedy[320]; /* a command or setting; "": none */
    json_t *figures;  /* an object: what was counted or measured, units in the names */
};

enum { FINDINGS_MAX = 64 };
struct findings {
    struct finding list[FINDINGS_MAX];
    unsigned count;
};

/* Adds one, to be filled further; it stays where it is. */
struct finding *findings_add(struct findings *findings, const char *topic, const char *name,
                             const char *found, ...) __attribute__((format(printf, 4, 5)));
/* What is wrong with it. Remedy may be "". */
void finding_set_trouble(struct finding *finding, enum finding_level level, const char *cost,
                         const char *remedy);
void finding_set_figure(struct finding *finding, const char *name, json_int_t value);
void findings_finish(struct findings *findings);

/* "ok", "note", "warning", "failure". */
const char *finding_level_name(enum finding_level level);
enum finding_level findings_worst(const struct findings *findings);
/* The finding of that name; NULL: none. */
const struct finding *findings_find(const struct findings *findings, const char *name);

json_t *findings_to_json(const struct findings *findings);
/* Words, in lines of at most `columns`. */
void findings_print(const struct findings *findings, FILE *file, int columns);

#endif
