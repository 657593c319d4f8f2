/* What is expected of the streams' totals, and whether it is so: the exit code that a script asks
 * for. */
#ifndef CONSUMERS_VERDICT_H
#define CONSUMERS_VERDICT_H

#include "expectation.h"
#include "program.h"
#include "selection.h"

enum { EXPECTATIONS_MAX = sizeof(((struct option_list *)0)->text) / sizeof(char *) };

/* What became of an expectation with one stream. */
struct judgement {
    const char *stream;
    const struct expectation *expectation;
    double value; /* NAN: none */
    bool is_met;
};

struct verdict {
    struct expectation expectation[EXPECTATIONS_MAX];
    uint32_t count;
    bool was_judged[EXPECTATIONS_MAX];
    struct judgement judgement[EXPECTATIONS_MAX * SELECTION_MAX];
    uint32_t judgements;
    bool has_failed; /* one was not met, or at the end not judged */
};

/* What --expect said; a mistake ends the program, such as a name that nothing has, or the value of
 * a comparison where there is no reference. The texts are kept. */
void verdict_parse(struct verdict *verdict, const struct option_list *texts, bool has_reference);
/* What no selected stream can have is a mistake as well, told before anything is measured. */
void verdict_check(const struct verdict *verdict, const struct selection *selection);

/* Judges the total of a stream, once each; its name is kept. Returns an object for each expectation
 * that concerns it, in an array that is the caller's. */
json_t *verdict_judge(struct verdict *verdict, const char *stream, const json_t *total);
/* All totals were told: says what is not met and what none of them has, with `is_telling` also, on
 * stdout, what is met. */
void verdict_end(struct verdict *verdict, bool is_telling);

#endif
