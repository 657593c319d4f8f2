/* A room in which bursts sound before a finder listens to them: what it does to the sound, to its
 * samples and to their stamps. The sound is a function of time, so that its bursts begin between
 * samples as well as on them. Pure, and the same for the same seed. */
#ifndef TESTS_BURST_ROOM_H
#define TESTS_BURST_ROOM_H

#include "burst_finder.h"

enum { ROOM_BURSTS_MAX = 4096 };

struct room {
    const char *name;
    uint32_t sample_rate;      /* 0: 48000 */
    uint32_t channels;         /* 0: 2 */
    uint32_t block;            /* samples; 0: 10 ms */
    const char *sample_format; /* NULL: flt */
    double gain_db;
    bool is_quiet;  /* nothing but the bursts: no tone */
    double noise;   /* its power, as a share of the burst's; over the whole band, white */
    double echo_s;  /* 0: none; at -6 dB */
    double stretch; /* the sound is faster by this share */
    double dc;
    double jitter; /* blocks by which stamps waver, evenly */
    uint32_t lost; /* of 1000 blocks */
    bool has_no_pts;
    bool has_coarse_pts;  /* in milliseconds */
    bool is_reversed;     /* every other channel is upside down */
    uint32_t one_channel; /* only this one has bursts, counted from 1; 0: all */
    uint32_t wild;        /* of 1000 samples: not finite (floats only) */
    uint64_t seed;
};

/* Rooms in which every burst is to be found where it began, with its beat. */
extern const struct room rooms[];
extern const uint32_t room_count;

struct room_result {
    uint32_t sent, found, wrong_beats, false_bursts;
    uint32_t beyond;                  /* further off than error_ns told */
    double error_ns[ROOM_BURSTS_MAX]; /* found - sent, of those found */
    double told_ns[ROOM_BURSTS_MAX];  /* error_ns */
    double media_ns[ROOM_BURSTS_MAX]; /* found by pts - sent */
    double level, confidence;         /* the least */
};

/* Plays a burst a second, each at an instant of its own between two samples. */
void room_play(const struct room *room, uint32_t bursts, struct room_result *out_result);

/* The size of the errors that a share of the bursts stays within. Sorts error_ns by size. */
double room_quantile(struct room_result *result, double share);

#endif
