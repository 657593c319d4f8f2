/* Selection: which tracks of an input become streams, and what those are called. */
#ifndef PRODUCERS_SELECTION_H
#define PRODUCERS_SELECTION_H

#include "option.h"

#include <jansson.h>
#include <libavformat/avformat.h>

enum { SELECTION_TRACKS_MAX = 16, SELECTION_WHY_BYTES = 512 };

/* Pictures first, then sound; of each kind in the order asked for. */
struct selection {
    unsigned stream[SELECTION_TRACKS_MAX]; /* numbers in the input */
    uint32_t count;
    char why[SELECTION_WHY_BYTES]; /* what had to be left out, or is wrong; "": nothing */
};

/* "picture" or "sound". */
const char *selection_name_kind(bool is_sound);

/* Chooses as the --track options in `wanted` say: numbers or FFmpeg's specifiers of streams, or
 * "all"; without any, the best picture and the best sound. Returns 0, or -ENOENT with `why`. */
int selection_choose(AVFormatContext *input, const struct option_list *wanted,
                     struct selection *out_selection);

/* The name of the stream for a track, the how-manieth of its kind from 0 on: NAME, NAME.2, ...,
 * NAME.sound, NAME.sound.2. False: it would be too long. */
bool selection_name_stream(const char *base, bool is_sound, uint32_t ordinal,
                           char out_name[SHMFRAME_NAME_BYTES]);

/* All tracks of the input: number, kind, codec, language, title; why not, where one cannot be a
 * stream. */
json_t *selection_list(const AVFormatContext *input);

#endif
