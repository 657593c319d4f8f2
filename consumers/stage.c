#include "stage.h"

#include "consumer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PICTURE_DEPTH =
        8, /* with the leases 200 ms at 60 Hz: what sound needs, and time to oversleep */
    PICTURE_LEASES = SHMFRAME_LEASES_MAX,
    SOUND_DEPTH = 64,
};
static const int64_t look_again_ns = 1000000000; /* for the stream that is missing */

/* ---- Devices ---- */

static void open_devices(struct stage *stage, const struct stage_settings *settings) {
    const struct window_params window = {
        .title = settings->name,
        .size = settings->size,
        .is_fullscreen = settings->is_fullscreen,
        .has_vsync = settings->has_vsync,
    };
    if (screen_create(&window, settings->has_overlay, &stage->screen)) {
        program_fail("no window can be made: %s", SDL_GetError());
    }
    const char *const trouble = window_trouble(screen_window(stage->screen));
    if (trouble) {
        program_warn("%s", trouble);
    }
    if (settings->has_sound &&
        listener_create(settings->is_muted, settings->is_staying, &stage->listener)) {
        program_fail("no memory for the sound");
    }
    stage->pictures.screen = stage->screen;
    stage->pictures.listener = stage->listener;
}

/* ---- Streams ---- */

static bool is_listening(const struct stage *stage) {
    return stage->listener && listener_is_open(stage->listener);
}

/* Pictures with sound wait for it, so each of them is wanted; alone the newest is the best. */
static struct shmframe_reader_params picture_params(const struct stage *stage, const char *stream) {
    if (stage->has_auto_policy) {
        const bool is_each_wanted = is_listening(stage) || consumer_settings.depth > 0;
        consumer_settings.policy = is_each_wanted ? "in-order" : "latest";
    }
    struct shmframe_reader_params params = consumer_reader_params(stream);
    const bool is_latest = params.policy == SHMFRAME_LATEST;
    if (params.depth == 0 && !is_latest) {
        params.depth = stage->wanted_depth > 0 ? stage->wanted_depth : PICTURE_DEPTH;
    }
    if (params.leases == 0) {
        params.leases = is_latest ? 1 : PICTURE_LEASES;
    }
    return params;
}

static struct shmframe_reader_params sound_params(const struct stage *stage, const char *stream) {
    const bool is_lossless =
        !stage->has_auto_policy && strcmp(consumer_settings.policy, "lossless") == 0;
    return (struct shmframe_reader_params){
        .stream = stream,
        .policy = is_lossless ? SHMFRAME_LOSSLESS : SHMFRAME_IN_ORDER,
        .depth = SOUND_DEPTH,
    };
}

static void fail_unless_stopping(const char *stream, int error) {
    if (error && error != -EINTR) {
        program_fail("stream %s cannot be read: %s", stream, shmframe_last_error());
    }
}

static void open_streams(struct stage *stage) {
    const int64_t deadline_ns = shmframe_deadline_ns(consumer_settings.wait_ns);
    struct finder_result found;
    if (!finder_wait(&stage->finder, &found)) {
        return;
    }
    if (found.audio && stage->listener) {
        listener_wait_ready(stage->listener);
        struct shmframe_reader_params params = sound_params(stage, found.audio);
        params.deadline_ns = deadline_ns;
        fail_unless_stopping(found.audio, listener_open(stage->listener, stage->session, &params));
    }
    if (found.video) {
        struct shmframe_reader_params params = picture_params(stage, found.video);
        params.deadline_ns = deadline_ns;
        fail_unless_stopping(found.video, pictures_open(&stage->pictures, stage->session, &params));
    } else if (!stage->listener) {
        program_fail("%s is sound only: leave out --no-sound", stage->finder.name);
    }
}

/* Reads the pictures as it is right now. Where that cannot be had they go on as before. */
static bool reopen_pictures(struct stage *stage) {
    const struct shmframe_reader_params params =
        picture_params(stage, stage->pictures.source.stream);
    return pictures_reopen(&stage->pictures, stage->session, &params) == 0;
}

/* Some sound devices take longer than pictures are kept by default. */
static void look_after_depth(struct stage *stage, int64_t now_ns) {
    const uint32_t wanted = pictures_wanted_depth(&stage->pictures, now_ns);
    if (wanted == 0 || stage->has_told_short) {
        return;
    }
    if (consumer_settings.depth == 0 && wanted > stage->wanted_depth &&
        wanted <= SHMFRAME_DEPTH_MAX) {
        stage->wanted_depth = wanted;
        if (reopen_pictures(stage)) {
            return;
        }
    }
    stage->has_told_short = true;
    program_warn("pictures are shown before their sound is heard: they cannot be held for long "
                 "enough; that takes --depth %u",
                 wanted);
}

/* A stream that is gone again, or a supervisor that does not answer, is looked for another time. */
static bool is_open(struct stage *stage, const char *stream, int error) {
    if (error && error != -ENOENT && error != -ENOTCONN && error != -ETIMEDOUT && error != -EINTR) {
        stage->has_lost_hope = true;
        program_warn("stream %s cannot be read: %s", stream, shmframe_last_error());
    }
    return !error;
}

/* One of the pair may come later than the other. */
static void look_for_missing(struct stage *stage, int64_t now_ns) {
    const bool is_sound_missing = stage->listener && !is_listening(stage);
    const bool is_picture_missing = stage->pictures.source.stream[0] == '\0';
    if (now_ns < stage->look_next_ns || stage->has_lost_hope ||
        (!is_sound_missing && !is_picture_missing)) {
        return;
    }
    stage->look_next_ns = now_ns + look_again_ns;
    const struct finder_result found = finder_look(&stage->finder);
    if (is_sound_missing && found.audio) {
        const struct shmframe_reader_params params = sound_params(stage, found.audio);
        if (is_open(stage, found.audio, listener_open(stage->listener, stage->session, &params)) &&
            stage->pictures.source.reader && stage->has_auto_policy) {
            reopen_pictures(stage);
        }
    }
    if (is_picture_missing && found.video) {
        const struct shmframe_reader_params params = picture_params(stage, found.video);
        is_open(stage, found.video, pictures_open(&stage->pictures, stage->session, &params));
    }
}

/* ---- Life ---- */

int stage_create(const struct stage_settings *settings, struct stage **out_stage) {
    struct stage *const stage = calloc(1, sizeof *stage);
    if (!stage) {
        return -ENOMEM;
    }
    stage->has_auto_policy = !consumer_settings.policy;
    stage->pictures.source.is_staying = settings->is_staying;
    picture_params(stage, settings->name); /* for its checks */

    stage->session = program_open_session();
    stage->finder.session = stage->session;
    stage->finder.name = settings->name;
    program_stop_on_signals(stage->session);
    /* Devices take a while: they come before the streams, so that nothing is missed. */
    open_devices(stage, settings);
    open_streams(stage);
    *out_stage = stage;
    return stage->pictures.source.reader || is_listening(stage) ? 0 : -EINTR;
}

void stage_destroy(struct stage *stage) {
    if (!stage) {
        return;
    }
    pictures_close(&stage->pictures);
    listener_destroy(stage->listener);
    screen_destroy(stage->screen);
    program_close_session(stage->session);
    free(stage);
}

void stage_look_after(struct stage *stage, int64_t now_ns) {
    source_tell(&stage->pictures.source);
    if (stage->listener) {
        listener_tell(stage->listener);
    }
    pictures_judge_lateness(&stage->pictures, now_ns);
    look_for_missing(stage, now_ns);
    look_after_depth(stage, now_ns);
    if (!stage->pictures.source.reader) {
        screen_show_alone(stage->screen);
    }
}

bool stage_is_over(const struct stage *stage) {
    if (source_is_flowing(&stage->pictures.source) || stage->pictures.held_count > 0) {
        return false;
    }
    if (!is_listening(stage)) {
        return true;
    }
    struct listener_state state;
    listener_get_state(stage->listener, &state);
    return state.is_over;
}
