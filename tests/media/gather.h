/* Gather: what several streams bring, with the sums that FFmpeg's framemd5 makes. */
#ifndef TESTS_GATHER_H
#define TESTS_GATHER_H

#include "reference.h"
#include "rig.h"

enum { GATHER_STREAMS = 8, GATHER_FRAMES = 1024 };

struct gathered {
    struct shmframe_reader *reader;
    bool is_ended;
    struct gathered_frame {
        uint8_t sum[REFERENCE_SUM_BYTES]; /* of pictures */
        int64_t pts, pts_ns, capture_ns, publish_ns;
        uint32_t flags;
        int width;
    } frame[GATHER_FRAMES];
    int frames;
    struct clip_sound sound;
    uint64_t lost;
};
extern struct gathered gathered[GATHER_STREAMS];

/* Opens readers for the streams, NULL behind the last; waits until they exist. */
void gather_open(enum shmframe_policy policy, const char *const *names);
#define GATHER_OPEN(policy, ...) gather_open(policy, (const char *const[]){__VA_ARGS__, NULL})
void gather_close(void);

/* Reads until all have ended, or the first has `frames` frames in all (0: no limit). */
void gather_read(int frames);
/* Reads what is there. */
void gather_drain(void);

/* That the pictures of a stream are those of the clip's first track of pictures, all of them. */
void gather_expect_pictures(int stream, const char *clip);
/* That they are some of them, in their order, from the one numbered `from` on; returns how many. */
int gather_match_pictures(int stream, const char *clip, int from);
/* That a stream has the clip's only track of sound. */
void gather_expect_sound(int stream, const char *clip);

#endif
