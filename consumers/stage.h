/* What a player plays with: the window, the speaker, the stream of pictures and that of sounds.
 *
 *   source --> pictures (held until they are due) --> screen: window, picture, overlay
 *                  ^ when
 *   source --> listener: sound (conversion, queue) --> speaker
 *
 * Whatever cannot be had is told in one clear line and ends the program.
 */
#ifndef CONSUMERS_STAGE_H
#define CONSUMERS_STAGE_H

#include "finder.h"
#include "pictures.h"

struct stage_settings {
    const char *name;     /* stream or group */
    struct fit_size size; /* of the window; 0x0: as the picture */
    bool is_fullscreen;
    bool has_vsync;
    bool has_sound;   /* sound is wanted */
    bool has_overlay; /* shown from the beginning */
    bool is_muted;
    bool is_staying; /* after the end of the stream */
};

struct stage {
    struct shmframe_session *session;
    struct screen *screen;
    struct listener *listener; /* NULL: sound is not wanted */
    struct pictures pictures;

    struct finder finder;
    int64_t look_next_ns; /* for the stream that is missing */
    bool has_auto_policy;
    uint32_t wanted_depth; /* of pictures, found out while playing; 0: the default */
    bool has_lost_hope;    /* in the stream that is missing: it cannot be read */
    bool has_told_silence; /* that there is no sound device */
    bool has_told_short;   /* that pictures cannot be held for as long as the sound takes */
};

/* Opens window, speaker and streams; how streams are read is in consumer_settings, where policy
 * NULL leaves it to the stage: in order with sound, the latest without. In any case *out_stage is
 * to be destroyed. Errors: -EINTR asked to stop meanwhile; -ENOMEM. */
int stage_create(const struct stage_settings *settings, struct stage **out_stage);
void stage_destroy(struct stage *stage);

/* What is to be looked at now and then: streams that come later, devices that go. */
void stage_look_after(struct stage *stage, int64_t now_ns);

/* Whether nothing is to come, to be shown or to be heard any more. */
bool stage_is_over(const struct stage *stage);

#endif
