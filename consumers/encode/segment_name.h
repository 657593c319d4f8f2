/* The names of a recording's files, from what the user wrote. Pure.
 *
 * %d, %03d: the number of the file, from 1; %% a percent sign; other letters are strftime()'s, of
 * the time the file begins, and beside one of them %d is the day of the month. Where no number and
 * no time are asked for, the name gets one of them in front of its ending.
 */
#ifndef CONSUMERS_SEGMENT_NAME_H
#define CONSUMERS_SEGMENT_NAME_H

#include "recording.h"

#include <time.h>

enum segment_name_addition {
    SEGMENT_NAME_NOTHING = 0, /* as it is written */
    SEGMENT_NAME_NUMBER,      /* out.mkv: out-001.mkv */
    SEGMENT_NAME_TIME,        /* out.mkv: out-20261121-093000.mkv, out-20261121-093000-2.mkv... */
};

/* -EINVAL with fault_set(): it is no pattern, or too long. Two numbers give two names, unless the
 * pattern has only a time: then the second and later ones get theirs in front of the ending. */
int segment_name_make(const char *pattern, enum segment_name_addition addition, uint32_t number,
                      time_t time, char out_path[RECORDING_PATH_BYTES]);

/* Whether the pattern itself tells files apart by number. */
bool segment_name_has_number(const char *pattern);

#endif
