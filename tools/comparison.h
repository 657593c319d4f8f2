/* Comparing runs: whether a quantile of a hop, a share of the frames, or how many came in a second
 * is another one after than before, or whether chance does as much.
 *
 * One run on each side: its blocks are dealt out again and again to both sides, and what share of
 * the deals differs as much as the runs do is the chance (comparison_chance.h). Frames that follow
 * each other are alike, so blocks are dealt, not frames, and where blocks that follow each other
 * are alike too, longer ones. The interval comes from drawing blocks of each side anew (bootstrap,
 * percentiles); a difference whose interval holds none is none, and the chance is at least the one
 * that its width tells.
 *
 * Where figures drift so slowly that a run has too few such blocks, what is seen of the drift is
 * the measure: how far the quarters of each run lie apart. Only a difference many times as large is
 * told. Of a run and itself there is none.
 *
 * Several runs: each run gives one figure, and the sides' means are compared (Welch's t, since one
 * side may vary more). This also sees what differs from run to run and not within one: where memory
 * lies, what else runs.
 *
 * All questions of a comparison are judged together (Holm), so that many of them do not find by
 * chance what is not there. The same files give the same answers. Threads: one.
 */
#ifndef TOOLS_COMPARISON_H
#define TOOLS_COMPARISON_H

#include "comparison_run.h"

enum { COMPARISON_RUNS_MAX = 16 };

struct comparison_side {
    const struct comparison_run *run[COMPARISON_RUNS_MAX];
    uint32_t runs;
};

enum comparison_kind {
    COMPARISON_HOP = 0, /* a quantile of it */
    COMPARISON_EVENT,   /* its share of all frames that came, or should have */
    COMPARISON_RATE,    /* frames a second, of which more are better */
};

struct comparison_question {
    enum comparison_kind kind;
    enum run_hop hop;
    double quantile;
    enum run_event event;
};

enum comparison_verdict {
    COMPARISON_SAME = 0, /* no difference that chance does not make, or that matters */
    COMPARISON_BETTER,
    COMPARISON_WORSE,
    COMPARISON_UNKNOWN, /* too little to tell */
};
const char *comparison_verdict_name(enum comparison_verdict verdict);

enum { COMPARISON_WHY_BYTES = 96 };

struct comparison_answer {
    struct comparison_question question;
    uint64_t frames_before, frames_after;
    double before, after; /* nanoseconds, a share, or a second; NAN: that side has none */
    /* After / before - 1; of an event: after - before. The interval has 95 %. NAN as well. */
    double change, low, high;
    double chance; /* that it is by chance, of this question alone; 1 where nothing can be told */
    double chance_least;                /* that could have been found */
    uint32_t units_before, units_after; /* that were dealt out, or runs */
    double unit_s;                      /* how long one is; 0: runs */
    enum comparison_verdict verdict;    /* by comparison_judge() */
    char why[COMPARISON_WHY_BYTES];     /* nothing can be told; "": something can */
    /* Nothing can be told, for that reason, but of a difference far beyond what drifts: `chance`
     * and the interval are as wide as the drift makes them. */
    bool is_drifting;
};

/* `level`: of this question alone, to be told apart from chance. False: none of the runs has such
 * frames; the answer says so. Errors: no memory ends the program. */
bool comparison_ask(const struct comparison_side *before, const struct comparison_side *after,
                    const struct comparison_question *question, double level,
                    struct comparison_answer *out_answer);

/* `threshold`: the least change that matters, 0.05 for one of 5 %; `level`: how often at most all
 * of them together may find a difference where there is none. */
void comparison_judge(struct comparison_answer *answers, size_t count, double threshold,
                      double level);

#endif
