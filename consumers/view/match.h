/* Which pictures of two streams show the same. Pure.
 *
 * Where both come from the same source - one is made of the other, or both of a third - its numbers
 * tell; otherwise the instants of capture do: what is less than half a picture apart is the same.
 */
#ifndef CONSUMERS_MATCH_H
#define CONSUMERS_MATCH_H

#include <shmframe/reader.h>

enum match {
    MATCH_SAME = 0,
    MATCH_FIRST_IS_ALONE,  /* the second stream is past it */
    MATCH_SECOND_IS_ALONE, /* the first stream is past it */
};

/* Judges the pictures that are next in either stream; `interval_ns` lies between two pictures of
 * the faster one. */
enum match match_judge(const struct shmframe_lease *first, const struct shmframe_lease *second,
                       int64_t interval_ns);

#endif
