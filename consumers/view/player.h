/* Plays what is on the stage until it ends: waits, shows, and does what the user wants. */
#ifndef CONSUMERS_PLAYER_H
#define CONSUMERS_PLAYER_H

#include "stage.h"

struct player;

struct player_settings {
    struct stage_settings stage;
    const char *screenshot; /* written at the end; NULL: none */
    bool is_muted;
    bool has_gauges; /* also beside pictures */
};

struct player_report {
    int64_t duration_ns;
    uint64_t shown;
    uint64_t unshown;        /* taken, but overtaken by the next before they could be shown */
    uint64_t converted;      /* by libswscale, since SDL does not have their format */
    uint64_t passed;         /* over, while paused */
    uint64_t missed;         /* while a stream was opened in another way */
    uint64_t heard;          /* blocks of sound whose instant of being heard is known */
    uint64_t sound_passed;   /* blocks of sound passed over, while paused */
    char sound_trouble[400]; /* "", or why nobody heard it at the end */
    uint64_t dropouts;
    int64_t sound_delay_ns;
    int64_t sound_dropped_ns;       /* sound thrown away since too much had come at once */
    struct shmframe_histogram skew; /* how far picture and sound were apart, without the sign */
};

/* Errors: as stage_create(); *out_player is to be destroyed in any case. */
int player_create(const struct player_settings *settings, struct player **out_player);
void player_destroy(struct player *player);

/* Plays until the streams end or something asks to stop. Returns an exit code. */
int player_run(struct player *player);

void player_get_report(const struct player *player, struct player_report *out_report);
/* For tables at the end; NULL: there was none. */
const struct pictures *player_pictures(const struct player *player, uint32_t index);
/* NULL: it is not what was shown. */
const struct delta *player_delta(const struct player *player);
const struct inspector *player_inspector(const struct player *player);
const struct source *player_sounds(const struct player *player);
/* Streams of sound that were chosen before; NULL: there were not so many. */
const struct source *player_sounds_before(const struct player *player, uint32_t index);

#endif
