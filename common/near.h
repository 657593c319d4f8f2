/* Names that are like a wrong one, for the message about it. Pure. */
#ifndef COMMON_NEAR_H
#define COMMON_NEAR_H

enum { NEAR_NAMES_MAX = 4 };

/* Begin with {.wanted = NAME}, offer every name there is, ask for the text. */
struct near {
    const char *wanted;
    const char *name[NEAR_NAMES_MAX]; /* the nearest first; borrowed */
    unsigned distance[NEAR_NAMES_MAX];
    unsigned count;
    char text[256];
};

void near_offer(struct near *near, const char *name);
/* "; near it are mp4, mpeg", or "" if nothing is. Lives as long as `near`. */
const char *near_text(struct near *near);

#endif
