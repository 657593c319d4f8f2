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
    bool is_idle; /* the thread waits, and has nothing in hand */
    bool is_away; /* the peer is looked for */
    struct {
        char path[RECORDING_PATH_BYTES];
        int64_t until_ns; /* media time: what was given by then belongs to it */
        int64_t asked_ns;
    } save[SAVES_MAX];
    uint32_t saves;
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
    atomic_bool is_finishing;
    _Atomic int64_t stopped_ns; /* when a signal to stop was first seen while finishing */
    atomic_bool is_opening;

    /* The caller's own: what is written, and when the next key frame is due. */
    AVRational time_base[RECORDING_STREAMS_MAX];
    uint32_t streams;
    int leader;    /* whose key frames begin files: the picture, or else the first sound */
    bool is_video; /* the leader */
    bool has_begun;
    bool is_dropping; /* until the next key frame */
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

/* For AVIOInterruptCB. Until finish, what is written is only waited for; a peer that is looked for
 * is given up at a signal to stop. */
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
/* Waits for a condition, at most so long: signals to the program ring no bell here. */
void recording_wait(struct recording *recording, pthread_cond_t *condition, int64_t wait_ns);

#endif
