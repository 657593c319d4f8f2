/* What became of a source's frames, told by the marks in the pictures of a stream: pictures in,
 * counts and times out.
 *
 * One source is followed: the one that is wanted, or the first that is seen. Its frames have
 * numbers without gaps, so that what is repeated, passed over or out of order shows. A frame that
 * comes later than the next one is found again while it is less than MARK_TALLY_WINDOW behind; a
 * number that goes back farther, or that disagrees with the instants of capture, is another run of
 * the source: its frames are as far apart as the first two of the run. So are older frames that
 * were seen before and are seen again in their order, from MARK_TALLY_LOOP or more behind: a clip
 * that begins again.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_LATENCY_MARK_TALLY_H
#define CONSUMERS_LATENCY_MARK_TALLY_H

#include "mark.h"
#include "spread.h"

enum { MARK_TALLY_WINDOW = 64, MARK_TALLY_LOOP = 8, MARK_TALLY_OTHERS = 8 };

/* One picture of the stream. */
struct mark_look {
    int64_t capture_ns, publish_ns, acquire_ns; /* of the picture */
    uint64_t passed;  /* pictures of the stream that were not looked at just before this one */
    bool is_gapped;   /* and more: it is not known how many were lost before those */
    uint32_t copies;  /* of its mark that were read; 0: none, and what follows does not count */
    bool is_torn;     /* they are of two frames, or the cells of one of them are */
    struct mark mark; /* the newest of them */
    struct mark oldest;
    uint32_t corrected;
};

/* What a picture was. */
enum mark_finding {
    MARK_FIRST = 1 << 0,        /* the first picture of its frame */
    MARK_REPEATED = 1 << 1,     /* the same frame as the picture before */
    MARK_OUT_OF_ORDER = 1 << 2, /* an older frame */
    MARK_TORN = 1 << 3,
    MARK_RESTARTED = 1 << 4, /* the first of another run of the source */
    MARK_OTHER = 1 << 5,     /* of another source */
};

struct mark_verdict {
    uint32_t findings;    /* enum mark_finding; 0: no mark */
    uint64_t lost;        /* frames passed over just before this one */
    int64_t shown_for_ns; /* the frame before this one; 0: not known */
};

struct mark_counts {
    uint64_t pictures; /* that were looked at */
    uint64_t passed;   /* that were not */
    uint64_t before;   /* without a mark, before the first one */
    uint64_t without;  /* after it */
    uint64_t others;   /* with another source's */
    uint64_t torn, repeated, out_of_order;
    uint64_t frames; /* of the source that were seen */
    uint64_t gone;   /* of the source that were passed over, */
    uint64_t found;  /* and of these, what came later after all */
    uint64_t unseen; /* of `gone`: as many pictures were not looked at, or had no mark to be read */
    uint64_t hidden; /* of these, what is in no other count: the pictures before were not got */
    uint64_t corrected; /* cells */
    uint64_t restarts;
    uint64_t undated; /* frames whose instant of capture is not of this machine's clock */
};

/* All that is told: of the whole, or of an interval. */
struct mark_figures {
    struct mark_counts counts;
    struct spread seen;      /* of a frame's first picture: its capture - the frame's */
    struct spread mark_age;  /* ... acquire - the frame's capture */
    struct spread shown_for; /* from a frame's first picture to the next one's, by publish */
};

struct mark_other {
    uint16_t stream;
    uint64_t pictures;
};

struct mark_tally {
    struct mark_figures figures;
    uint16_t own_clock; /* mark_clock_id() */
    bool has_source;    /* known: `source` is followed */
    uint16_t source;
    bool has_begun; /* a mark of it was seen, and the rest counts */
    struct mark newest;
    uint64_t seen;         /* bit i: the frame i before the newest was seen */
    int64_t first_ns;      /* when the newest was seen first; 0: not known */
    uint64_t unseen;       /* pictures that may have shown a frame, since the last mark */
    bool is_gapped;        /* ... and more, nobody knows how many */
    int64_t step_ns;       /* between frames of the run; 0: not known */
    uint64_t returns;      /* older pictures, seen before, that may begin a clip again; 0: none */
    struct mark_look back; /* the first of them */
    struct mark_other other[MARK_TALLY_OTHERS];
    uint32_t others;
};

/* `source` is the mark_stream_id() that is wanted; NULL: the first that is seen. */
void mark_tally_init(struct mark_tally *tally, uint16_t own_clock, const uint16_t *source);

struct mark_verdict mark_tally_add(struct mark_tally *tally, const struct mark_look *look);

/* Frames of the source that were never seen, between the first and the newest; and of these, what
 * may have been in pictures that were not looked at or not read. */
uint64_t mark_counts_lost(const struct mark_counts *counts);
uint64_t mark_counts_unseen(const struct mark_counts *counts);
/* And of these, what no picture was there for: the stream has fewer pictures than the source. */
uint64_t mark_counts_crowded(const struct mark_counts *counts);

/* `figures` -= `earlier`. */
void mark_figures_subtract(struct mark_figures *figures, const struct mark_figures *earlier);

#endif
