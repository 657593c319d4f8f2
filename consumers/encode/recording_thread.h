/* Recording: what its thread and its caller share. */
#ifndef CONSUMERS_RECORDING_THREAD_H
#define CONSUMERS_RECORDING_THREAD_H

#include "fault.h"
#include "merge.h"
#include "outlet.h"
#include "recording.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LINES_MAX = 16, SAVES_MAX = 4 };

/* What the threads tell each other, under the lock. */
struct shared {
    struct merge *merge;
    bool is_draining; /* the next set of streams waits for the queue to be empty */
    bool is_ending;
    bool is_idle;       /* the thread waits, and has nothing in hand */
    bool is_done;       /* the thread has nothing to do any more */
    bool is_away;       /* the peer is not there */
    bool is_connecting; /* for the first time */
    struct {
        uint32_t asker;
        char path[RECORDING_PATH_BYTES];
        int64_t until_ns; /* media time: what was given by then belongs to it */
        int64_t asked_ns;
    } save[SAVES_MAX];
    uint32_t saves;
    struct recording_saved saved[SAVES_MAX]; /* for those who asked */
    uint32_t saved_count;
    bool has_failed_save;
    char line[LINES_MAX][RECORDING_PATH_BYTES];
    uint32_t lines;
    int error;
    char why[FAULT_BYTES];
    struct recording_state state;
};

struct recording {
    struct recording_params params;
    struct container container;
    struct outlet *outlet; /* the thread's, or the caller's while the thread is idle */
    struct replay *replay; /* likewise; NULL without keep_ns */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t work, room; /* for the thread; for the caller */
    struct shared shared;
    atomic_bool is_opening;
    atomic_bool is_emptying;  /* the caller waits for all to be written */
    atomic_bool is_finishing; /* and nothing comes behind it */
    _Atomic int64_t moved_ns; /* when a byte last went out, or the caller began to wait */

    /* The thread's own. */
    uint64_t moved;
    int64_t stopped_ns; /* when a signal to stop was first seen */
    bool is_told_too_small;

    /* The caller's own: what is written, and when the next key frame is due. */
    AVRational time_base[RECORDING_STREAMS_MAX];
    uint32_t streams;
    int leader;    /* whose key frames begin files: the picture, or else the first sound */
    bool is_video; /* the leader */
    bool has_begun;
    bool is_dropping;   /* until the next key frame */
    bool is_slow;       /* why */
    bool is_key_needed; /* what begins with a sound has no picture before its key frame */
    int64_t silent_ns;  /* how far the others had come at the leader's last packet */
    int64_t served_ns;
    int64_t first_ns, end_ns;
    int64_t cut_ns;    /* a new file from here on; INT64_MAX: none is due */
    int64_t key_ns;    /* a key frame for the container's own cuts */
    int64_t period_ns; /* between those */
    int64_t
        asked_ns; /* the picture that a key frame was asked for; INT64_MIN: none is waited for */
    uint64_t cut_bytes; /* of packets since the last cut */
    bool is_split_wanted;
};

/* Until the recording is finished: puts each packet where it belongs. */
void *recording_run(void *recording);

/* For AVIOInterruptCB: whether the target is given up. Until all is to be written, it is only
 * waited for; a peer that is looked for is given up at a signal to stop. */
int recording_is_interrupted(void *recording);

/* With the lock held, from either side. */
void recording_tell(struct recording *recording, const char *text, ...)
    __attribute__((format(printf, 2, 3)));
/* Nothing more is written; the words are fault_text()'s. */
void recording_fail(struct recording *recording, int error);
void recording_update_state(struct recording *recording);
/* See outlet_open(). */
int recording_open_outlet(struct recording *recording, int64_t zero_ns);
int64_t recording_now_ns(void);
/* The caller's: waits a moment for the thread, and lets the program serve its users. */
void recording_wait_for_thread(struct recording *recording);

#endif
