/* Which frames of a stream become pictures: the nth, then every nth, or one each so often. Pure. */
#ifndef CONSUMERS_SHUTTER_H
#define CONSUMERS_SHUTTER_H

#include <stdbool.h>
#include <stdint.h>

/* The program sets the first three; the rest begins as zero. */
struct shutter {
    uint64_t nth;     /* the first picture is of that frame, from 1 on */
    uint64_t every;   /* then of every so manieth; 0: by time */
    int64_t every_ns; /* and by time: 0: no further one */
    uint64_t next;    /* sequence; 0: no frame has come yet */
    int64_t next_ns;
    bool is_open;  /* the first picture was taken */
    uint32_t late; /* pictures of a later frame than was meant: that one did not come */
};

/* Parses --every: "5" or "2s". Returns NULL, or what it should have been. */
const char *shutter_parse(struct shutter *shutter, const char *text);

/* Whether the frame is to be taken; frames are shown in their order. One that was lost is made up
 * for by the next that comes, without moving those after it. */
bool shutter_is_due(struct shutter *shutter, uint64_t sequence, int64_t capture_ns);

#endif
