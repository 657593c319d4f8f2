/* Scene: a ring with its writer and readers around the one that is stopped or killed. Everyone else
 * is played by the test itself: who must sleep meanwhile, on a thread of its own.
 *
 *   holder     has had a frame on lease for long: it is retired, and must stay whole
 *   follower   reads in order; has 4 frames of history
 *   newest     takes the newest frame
 *   victim     the reader that is killed (a writer that is killed is a copy of the scene's)
 *   slow       reads in order, and goes by a head that it saw long ago
 *   evicted    has a frame on lease that it was evicted from
 *   late       a link that nobody reads through yet
 */
#ifndef TESTS_STRESS_STEPKILL_SCENE_H
#define TESTS_STRESS_STEPKILL_SCENE_H

#include "../../library/rig.h"
#include "stepper.h"

#include <pthread.h>

enum { SCENE_DEPTH = 4, SCENE_FRAMES = 50, SCENE_SLEEPERS = 3, SCENE_FAULTS_ENOUGH = 20 };

/* How a point came out, for the report. A point may be of several. */
enum outcome {
    OUTCOME_OLD = 0, /* the newest readable frame is the one before the writer's last work */
    OUTCOME_NEW,
    OUTCOME_PART,  /* of a batch */
    OUTCOME_OVER,  /* the ring says that nothing follows */
    OUTCOME_LEASE, /* a dead reader's lease is left behind */
    OUTCOME_NO_LEASE,
    OUTCOME_WAITING, /* a dead reader is left behind as one that waits */
    OUTCOME_ASLEEP,  /* in a system call, sleeping */
    OUTCOME_HELD_UP, /* the writer waited for a lossless reader until it was told of its death */
    OUTCOME_WHOLE,   /* stopped and continued: its frames were whole */
    OUTCOME_STALE,   /* ... evicted meanwhile, and told so */
    OUTCOMES,
};

enum { VISIBLE_MAX = 512 };

/* The instructions of a work that others can see: each that changes shared memory, or sleeps.
 * Whoever is killed between two of them leaves the same behind. */
struct visible {
    unsigned count, at[VISIBLE_MAX];
    uint64_t sum;
};

enum fate { FATE_KILLED = 0, FATE_STOPPED, FATE_EVICTED /* while it is stopped */ };

/* What a child tells of its work, in memory that both see. */
struct told {
    _Atomic unsigned mark; /* enum stepper_mark */
    _Atomic unsigned frames;
    struct told_frame {
        uint64_t sequence;
        bool was_whole, is_whole; /* when it came, and before its release */
        int code;                 /* of the release */
    } frame[8];
};

/* Somebody who sleeps in a thread of the test. */
struct sleeper {
    struct scene *scene;
    struct rig_link *link; /* whose reader it is; or, for a writer, whom it waits for */
    pthread_t thread;
    _Atomic pid_t tid;
    _Atomic bool is_over;
    uint32_t notice_seen;
    int64_t since_ns; /* when it began to sleep, again and again */
    bool is_patient;
    int64_t begin_ns; /* of its last sleep */
    int code;
    bool is_started;
};

struct scene {
    const struct operation *operation;
    struct rig *rig;
    struct rig_link *holder, *follower, *newest, *victim, *slow, *evicted, *late;
    struct ring_frame held, slow_frame, evicted_frame, late_frame;
    uint64_t followed; /* last sequence that the follower took */
    uint64_t before;   /* newest sequence when the work began */
    struct sleeper sleeper[SCENE_SLEEPERS];
    struct rig_link *polling; /* waits for a byte on its socket */
    struct sleeper space;     /* the writer, waiting for the victim */
    struct told *told;
    struct stepper stepper;
    enum stepper_place place;
    enum fate fate;
    struct visible *visible; /* to be filled; NULL: no */
    unsigned outcome[OUTCOMES], faults;
};

/* One kind of work, and what is around it. */
struct operation {
    const char *name;
    void (*prepare)(struct scene *scene);
    void (*work)(struct scene *scene);         /* the child */
    void (*awaken)(struct scene *scene);       /* ends its sleep */
    void (*survive)(struct scene *scene);      /* the others, once it is dead */
    void (*go_on)(struct scene *scene);        /* ... while it is stopped */
    void (*go_on_itself)(struct scene *scene); /* the child, once it was continued and is through */
    void (*meet)(struct scene *scene);         /* ... once it went on and came to its end */
    bool may_sleep;
    bool is_batch;        /* what the work publishes is on loan at once */
    struct rig_want want; /* the victim's; a writer's follower's */
    unsigned frames;      /* that the work publishes, or wants */
    unsigned holds;       /* leases that the victim has before */
    unsigned sleepers;    /* readers asleep on the writer */
    bool is_held_up;      /* the writer sleeps until the victim takes a frame */
    bool is_polling;      /* one more, on its socket */
};

extern const struct operation writer_operations[], reader_operations[];

/* Something is wrong with the core. The first few are printed. */
void scene_fault(struct scene *scene, const char *text, ...) __attribute__((format(printf, 2, 3)));
void scene_must(struct scene *scene, bool is_so, const char *text);

/* A ring with room for what is on loan at once, the history of its readers, and their leases, and
 * no slot more. `want`: the victim's, or the follower's if there is no victim. */
void scene_create(struct scene *scene, unsigned loans, uint64_t sequence, bool has_victim);
void scene_destroy(struct scene *scene);

/* As rig_paint() and rig_is_painted(), in a few instructions: some words of the payload. */
void scene_paint(const struct scene *scene, uint32_t slot, uint64_t sequence);
bool scene_is_painted(const struct scene *scene, uint32_t slot, uint64_t sequence);
/* Paints a slot on loan as the next frame, and puts it. */
void scene_put(struct scene *scene, uint32_t slot);
/* A reader takes the next frame, which there is. */
void scene_take(struct scene *scene, struct rig_link *link, struct ring_frame *out_frame);

/* The scene's writer publishes so many frames; the follower takes each, and the newest reader some.
 * Loans must not fail. */
void scene_publish(struct scene *scene, unsigned frames);
/* One frame, which the follower does not take. */
void scene_publish_one(struct scene *scene);
/* The follower takes what there is: in order, nothing twice, what is lost counted. */
void scene_follow(struct scene *scene);
/* A reader takes a frame and keeps it: all zeros if there is none. */
void scene_lease(struct scene *scene, struct rig_link *link, struct ring_frame *out_frame);
/* What it took is whole, and its release says so. */
void scene_release(struct scene *scene, struct rig_link *link, const struct ring_frame *frame);
/* ... is whole, or its release says that it is not. */
void scene_release_evicted(struct scene *scene);

/* A reader takes the newest frame and gives it back. Returns its sequence, 0: there is none. */
uint64_t scene_take_newest(struct scene *scene, struct rig_link *link);
/* The holder's frame is whole, and its release says so. */
void scene_release_held(struct scene *scene);
void scene_check_held(struct scene *scene);

/* Starts everyone who is to sleep, and waits until they do. */
void scene_sleep(struct scene *scene);
/* A writer that waits for the victim. */
void scene_sleep_for_space(struct scene *scene);
/* The supervisor writes something that changes nothing, and wakes. */
void scene_tell_all(struct scene *scene);
/* ... and tells that the victim is gone, or evicted. */
void scene_tell_victim(struct scene *scene, enum entry_state state);
/* Waits for the end of a sleep that was ended before `told_ns`. */
void scene_await_awake(struct scene *scene, struct sleeper *sleeper, int64_t told_ns);

/* A number that changes with every word that the writer and its readers share. */
uint64_t scene_sum(const struct scene *scene);

/* Slots that can be lent now. */
unsigned scene_count_free(struct scene *scene);

#endif
