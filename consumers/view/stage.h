/* What a player plays with: the window, the speaker, the streams of pictures and that of sounds.
 *
 *   source --> pictures (held until they are due) --> pane ... screen: the window
 *                  ^ when
 *   source --> listener: sound (conversion, queue) --> speaker
 *
 * Of several streams each has a tile; the sound is that of the first that has one, or of the one
 * that the user chose. A difference of two streams has one pane, and no sound. What cannot be had
 * is told in one clear line; it ends the program if there is nothing else.
 */
#ifndef CONSUMERS_STAGE_H
#define CONSUMERS_STAGE_H

#include "delta.h"
#include "finder.h"
#include "screen.h"
#include "tile.h"

/* By how much each is to be heard or shown later than it has to be. */
struct stage_delays {
    int64_t sound_ns, picture_ns; /* at least 0, at most SOUND_LATER_MAX_NS */
};

struct stage_settings {
    char *const *names; /* streams or groups, at least one */
    uint32_t count;
    enum layout layout;
    struct fit_size size; /* of the window; 0x0: as the picture */
    bool is_fullscreen;
    bool has_vsync;
    bool has_sound;           /* sound is wanted */
    bool has_overlay;         /* shown from the beginning */
    const char *sound_device; /* NULL: the default */
    bool is_staying;          /* after the end of the stream */
    struct stage_delays delays;
    double gain; /* LAYOUT_DIFFERENCE */
};

struct stage {
    struct shmframe_session *session;
    struct screen *screen;
    struct listener *listener; /* NULL: sound is not wanted */
    struct tile tile[LAYOUT_MAX];
    uint32_t tiles;
    struct stage_delays delays;
    bool has_delta; /* the window shows the difference of two tiles, instead of them */
    struct delta delta;
    int heard; /* the tile whose sound it is; -1: none is heard yet */

    struct finder finder;
    int64_t look_next_ns;    /* for streams that are missing */
    int64_t look_wait_ns;    /* from one look to the next */
    int64_t missing_told_ns; /* those that have not come by then are told */
    bool has_lost_sound;     /* the hope for it: it cannot be read */
};

/* Opens window, speaker and streams; how streams are read is in consumer_settings, where policy
 * NULL leaves it to the stage: in order with sound, the latest without. In any case *out_stage is
 * to be destroyed. Errors: -EINTR asked to stop meanwhile; -ENOMEM. */
int stage_create(const struct stage_settings *settings, struct stage **out_stage);
void stage_destroy(struct stage *stage);

/* Shows the pictures that are due, one of each stream, and at most `shown_max` of each in all (0:
 * any number). If more are due, stage_wait() does not wait. */
void stage_show(struct stage *stage, uint64_t shown_max);

/* Sleeps until a picture can be taken or is due, mail comes, or `until_ns`. */
void stage_wait(struct stage *stage, int64_t until_ns);

/* What is to be looked at now and then: streams that come later, devices that go. */
void stage_look_after(struct stage *stage, int64_t now_ns);

/* Whether nothing is to come, to be shown or to be heard any more. */
bool stage_is_over(const struct stage *stage);
/* Whether a stream was taken away from this reader. */
bool stage_is_evicted(const struct stage *stage);

/* What the user wants. */
void stage_set_paused(struct stage *stage, bool is_paused);
void stage_step(struct stage *stage, bool is_back);
void stage_set_delays(struct stage *stage, struct stage_delays delays);
/* The sound of a tile, if it has one. */
void stage_choose_sound(struct stage *stage, uint32_t tile);
/* The renderer lost what was uploaded. */
void stage_renew(struct stage *stage);

#endif
