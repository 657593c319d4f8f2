/* Names that are like a wrong one, for the message about it. Pure. */
#ifndef COMMON_NEAR_H
#define COMMON_NEAR_H

#include <getopt.h>

enum { NEAR_NAMES_MAX = 4 };

/* Begin with {.wanted = NAME}, offer every name there is, ask for the text. */
struct near {
    const char *wanted;
    const char *name[NEAR_NAMES_MAX]; /* the nearest first; borrowed */
    unsigned distance[NEAR_NAMES_MAX];
    unsigned count;
    const char *before; /* each name in the text; NULL: nothing */
    char text[256];
};

void near_offer(struct near *near, const char *name);
/* "; near it are mp4, mpeg", or "" if nothing is. Lives as long as `near`. */
const char *near_text(struct near *near);

/* What is wrong with a long option such as "--fromat=x" of which getopt_long() makes nothing:
 * "--fromat is not an option; near it is --format", or "--fo is short for several: --force,
 * --format". Overwrites `near`, whose text it is. */
const char *near_option(struct near *near, const char *argument, const struct option *options);

#endif
