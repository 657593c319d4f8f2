/* What a recording does when it is asked to: save, split, pause, resume, stats. */
#ifndef CONSUMERS_REQUESTS_H
#define CONSUMERS_REQUESTS_H

#include "recorder.h"
#include "verb.h"

/* All borrowed. */
struct requests {
    struct recorder *recorder;
    struct sources *sources; /* whose control tells results */
    const char *target;
};

/* For control_open(), with a struct requests as its user. */
extern const struct verb requests_verbs[];

/* Answers those who asked for a save that has ended since the last call. */
void requests_answer(const struct requests *requests);

#endif
