/* A shot: one frame on its way into a file, and what is told of it. */
#ifndef CONSUMERS_SHOT_H
#define CONSUMERS_SHOT_H

#include "report.h"
#include "still.h"

enum { SHOT_INSTANT_BYTES = 40 };

/* The program fills it; zero is nothing yet. */
struct shot {
    const char *stream; /* borrowed */
    uint64_t sequence;
    int64_t capture_ns, acquire_ns;
    int64_t hold_ns; /* how long the lease lasted */
    int64_t encode_ns;
    const char *from_format;          /* libavutil's name of what came */
    char instant[SHOT_INSTANT_BYTES]; /* of the capture, by the wall clock */
    unsigned changes;                 /* enum still_change */
    AVFrame *frame;                   /* as it was encoded */
    AVPacket *packet;                 /* the file's bytes */
    char *path;                       /* of the file */
};

/* Frees frame, packet and path. */
void shot_finish(struct shot *shot);

/* Writes the capture's instant as RFC 3339 has it. */
void shot_describe_instant(struct shot *shot);

/* Puts stream, sequence and capture time into the PNG file. Errors: as png_text_add(). */
int shot_add_words(struct shot *shot);

/* Prints a line, or an object, about it. */
void shot_tell(const struct shot *shot, enum report_format report);

#endif
