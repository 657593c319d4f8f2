#include "stage.h"

#include "consumer.h"
#include "watchdog.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)

enum { SOUND_DEPTH = 64, CAPTION_BYTES = 200 };
static const int64_t look_again_ns = 500000000; /* for streams that are missing */
static const int64_t look_wait_max_ns = 8 * SECOND_NS;
static const int64_t glance_ns = 5000000; /* for the supervisor's answer, while pictures are due */
static const int64_t answer_ns = 200000000; /* likewise, when the user asked */

/* ---- Devices ---- */

static uint32_t find_leases(void *user, uint32_t pane,
                            const struct shmframe_lease *out_lease[INSPECTOR_SOURCES]) {
    struct stage *const stage = user;
    const uint32_t wanted = stage->has_delta ? INSPECTOR_SOURCES : 1;
    for (uint32_t i = 0; i < wanted; i++) {
        out_lease[i] = pictures_on_screen(&stage->tile[pane + i].pictures);
        if (!out_lease[i]) {
            return i;
        }
    }
    return wanted;
}

static void assign_panes(struct stage *stage) {
    if (stage->has_delta) {
        stage->delta.canvas = screen_pane(stage->screen, 0)->canvas;
        return;
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        stage->tile[i].pictures.canvas = screen_pane(stage->screen, i)->canvas;
    }
}

static void open_devices(struct stage *stage, const struct stage_settings *settings) {
    const struct screen_params screen = {
        .window =
            {
                .title = settings->names[0],
                .size = settings->size,
                .is_fullscreen = settings->is_fullscreen,
                .has_vsync = settings->has_vsync,
            },
        .layout = settings->layout,
        .panes = stage->has_delta ? 1 : settings->count,
        .has_overlay = settings->has_overlay,
        .leases = find_leases,
        .user = stage,
    };
    if (screen_create(&screen, &stage->screen)) {
        program_fail("no window can be made: %s", SDL_GetError());
    }
    const char *const trouble = window_trouble(screen_window(stage->screen));
    if (trouble) {
        program_warn("%s", trouble);
    }
    if (settings->has_sound && !stage->has_delta &&
        listener_create(settings->sound_device, settings->is_staying, &stage->listener)) {
        program_fail("no memory for the sound");
    }
    if (settings->sound_device && stage->listener) {
        listener_wait_device(stage->listener);
        if (listener_trouble(stage->listener)) {
            program_fail("%s", listener_trouble(stage->listener));
        }
    }
    stage_set_delays(stage, settings->delays);
    assign_panes(stage);
}

/* ---- Sound ---- */

static bool is_listening(const struct stage *stage) {
    return stage->listener && listener_is_open(stage->listener);
}

static struct shmframe_reader_params sound_params(const char *stream) {
    const bool is_lossless =
        consumer_settings.policy && strcmp(consumer_settings.policy, "lossless") == 0;
    return (struct shmframe_reader_params){
        .stream = stream,
        .policy = is_lossless ? SHMFRAME_LOSSLESS : SHMFRAME_IN_ORDER,
        .depth = SOUND_DEPTH,
    };
}

/* Pictures with sound wait for it, so each of them is wanted; alone the newest is the best. */
static void set_heard(struct stage *stage, int heard) {
    stage->heard = heard;
    for (int i = 0; i < (int)stage->tiles; i++) {
        struct tile *const tile = &stage->tile[i];
        const bool is_each_wanted = i == heard || stage->has_delta || stage->delays.picture_ns > 0;
        const bool has_changed = tile->is_each_wanted != is_each_wanted;
        tile->is_each_wanted = is_each_wanted;
        tile->pictures.listener = i == heard ? stage->listener : NULL;
        tile->pictures.later_ns = stage->delays.picture_ns;
        tile->pictures.sound_later_ns = i == heard ? stage->delays.sound_ns : 0;
        /* Twice is back again. */
        if (has_changed && tile_is_open(tile) && !consumer_settings.policy) {
            tile->is_reopen_due = !tile->is_reopen_due;
        }
    }
}

void stage_set_delays(struct stage *stage, struct stage_delays delays) {
    stage->delays = delays;
    set_heard(stage, stage->heard);
    if (stage->listener) {
        listener_set_later(stage->listener, delays.sound_ns);
    }
}

static int open_sound(struct stage *stage, uint32_t tile, const char *stream, int64_t deadline_ns) {
    struct shmframe_reader_params params = sound_params(stream);
    params.deadline_ns = deadline_ns;
    if (is_listening(stage)) {
        listener_close(stage->listener);
    }
    const int error = listener_open(stage->listener, stage->session, &params);
    if (!error) {
        set_heard(stage, (int)tile);
    }
    return error;
}

void stage_choose_sound(struct stage *stage, uint32_t tile) {
    if (!stage->listener || tile >= stage->tiles || (int)tile == stage->heard) {
        return;
    }
    const char *const name = stage->tile[tile].name;
    if (!finder_look(&stage->finder, answer_ns)) {
        program_warn("the sound of %s is not to be found: the supervisor does not answer", name);
        return;
    }
    const struct finder_result found = finder_find(&stage->finder, name);
    if (!found.audio) {
        program_warn("%s has no sound", name);
    } else if (open_sound(stage, tile, found.audio, 0)) {
        program_warn("stream %s cannot be read: %s", found.audio, shmframe_last_error());
        set_heard(stage, -1);
    }
}

static bool is_sound_missing(const struct stage *stage) {
    if (!stage->listener || stage->has_lost_sound) {
        return false;
    }
    if (!listener_is_open(stage->listener)) {
        return true;
    }
    /* Of several streams another one may have sound when this one is at its end. */
    struct listener_state state;
    listener_get_state(stage->listener, &state);
    return stage->tiles > 1 && state.is_over;
}

/* ---- Streams ---- */

static void fail_unless_stopping(const char *stream, int error) {
    if (error && error != -EINTR) {
        program_fail("stream %s cannot be read: %s", stream, shmframe_last_error());
    }
}

/* One alone is waited for; it fails if it cannot be had. */
static void open_alone(struct stage *stage) {
    const int64_t deadline_ns = shmframe_deadline_ns(consumer_settings.wait_ns);
    struct tile *const tile = &stage->tile[0];
    const struct finder_result found = finder_find(&stage->finder, tile->name);
    if (found.audio && stage->listener) {
        listener_wait_ready(stage->listener);
        fail_unless_stopping(found.audio, open_sound(stage, 0, found.audio, deadline_ns));
    }
    if (found.video) {
        fail_unless_stopping(found.video, tile_open(tile, found.video, deadline_ns));
    } else if (!stage->listener) {
        program_fail("%s is sound only: leave out --no-sound", tile->name);
    }
}

/* A stream that is gone again, or a supervisor that does not answer, is looked for another time. */
static bool is_hopeless(const char *stream, int error) {
    if (!error || error == -ENOENT || error == -ENOTCONN || error == -ETIMEDOUT ||
        error == -EINTR) {
        return false;
    }
    program_warn("stream %s cannot be read: %s", stream, shmframe_last_error());
    return true;
}

static bool is_missing(const struct tile *tile) {
    return !tile_is_open(tile) && !tile->has_lost_hope;
}

/* Once, of one of several that was never there. */
static void tell_missing(const struct stage *stage, struct tile *tile,
                         const struct finder_result *found, int64_t now_ns) {
    const bool is_there = found->video || found->audio;
    if (tile->has_told_missing || (!is_there && now_ns < stage->missing_told_ns)) {
        return;
    }
    tile->has_told_missing = true;
    if (!is_there && tile->is_one_of_several) {
        program_warn("stream %s is not there yet: it is shown when it comes", tile->name);
    }
}

/* One of several is shown when it is there; so is the sound of one, or its picture. */
static void open_missing(struct stage *stage, int64_t now_ns) {
    for (uint32_t i = 0; i < stage->tiles; i++) {
        struct tile *const tile = &stage->tile[i];
        const bool is_picture_missing = is_missing(tile);
        if (!is_picture_missing && !is_sound_missing(stage)) {
            continue;
        }
        const struct finder_result found = finder_find(&stage->finder, tile->name);
        tell_missing(stage, tile, &found, now_ns);
        if (found.audio && is_sound_missing(stage)) {
            const int error = open_sound(stage, i, found.audio, 0);
            stage->has_lost_sound = is_hopeless(found.audio, error);
        }
        if (found.video && is_picture_missing) {
            const int error = tile_open(tile, found.video, 0);
            tile->has_lost_hope = is_hopeless(found.video, error);
        }
    }
}

/* Pictures are due meanwhile: it is not waited for long, and less often where it does not answer.
 */
static void look_for_missing(struct stage *stage, int64_t now_ns) {
    bool is_wanted = is_sound_missing(stage);
    for (uint32_t i = 0; i < stage->tiles; i++) {
        is_wanted |= is_missing(&stage->tile[i]);
    }
    if (!is_wanted || now_ns < stage->look_next_ns) {
        return;
    }
    const bool has_answered = finder_look(&stage->finder, glance_ns);
    const bool is_patient = stage->look_wait_ns > look_wait_max_ns / 2;
    stage->look_wait_ns = has_answered ? look_again_ns
                          : is_patient ? look_wait_max_ns
                                       : 2 * stage->look_wait_ns;
    stage->look_next_ns = now_ns + stage->look_wait_ns;
    if (has_answered) {
        open_missing(stage, now_ns);
    }
}

/* ---- Life ---- */

static void set_tiles(struct stage *stage, const struct stage_settings *settings) {
    stage->tiles = settings->count;
    stage->heard = -1;
    stage->finder.session = stage->session;
    stage->look_wait_ns = look_again_ns;
    stage->has_delta = settings->layout == LAYOUT_DIFFERENCE;
    stage->delta.gain = settings->gain;
    for (int i = 0; stage->has_delta && i < 2; i++) {
        stage->delta.pictures[i] = &stage->tile[i].pictures;
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        struct tile *const tile = &stage->tile[i];
        tile->session = stage->session;
        tile->name = settings->names[i];
        tile->is_one_of_several = settings->count > 1;
        tile->pictures.source.is_staying = settings->is_staying || tile->is_one_of_several;
    }
}

int stage_create(const struct stage_settings *settings, struct stage **out_stage) {
    struct stage *const stage = calloc(1, sizeof *stage);
    if (!stage) {
        return -ENOMEM;
    }
    *out_stage = stage;
    for (uint32_t i = 0; i < settings->count; i++) {
        tile_reader_params(&stage->tile[i], settings->names[i]); /* for its checks */
    }
    stage->session = program_open_session();
    set_tiles(stage, settings);
    program_stop_on_signals(stage->session);
    watchdog_start();
    /* Devices take a while: they come before the streams, so that nothing is missed. */
    open_devices(stage, settings);
    if (!finder_wait(&stage->finder, settings->names, settings->count)) {
        return -EINTR;
    }
    stage->missing_told_ns = shmframe_deadline_ns(CONSUMER_SILENT_NS);
    if (stage->tiles == 1) {
        open_alone(stage);
    } else {
        if (stage->listener) {
            listener_wait_ready(stage->listener);
        }
        open_missing(stage, shmframe_now_ns());
    }
    return stage->tiles > 1 || tile_is_open(&stage->tile[0]) || is_listening(stage) ? 0 : -EINTR;
}

void stage_destroy(struct stage *stage) {
    if (!stage) {
        return;
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        tile_close(&stage->tile[i]);
    }
    delta_finish(&stage->delta);
    listener_destroy(stage->listener);
    screen_destroy(stage->screen);
    program_close_session(stage->session);
    free(stage);
}

/* ---- The loop ---- */

static bool bring(struct stage *stage, uint64_t shown_max) {
    bool is_new = false;
    if (stage->has_delta) {
        const bool is_enough = shown_max > 0 && stage->delta.matched >= shown_max;
        return !is_enough && delta_bring(&stage->delta);
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        struct pictures *const pictures = &stage->tile[i].pictures;
        if (shown_max == 0 || pictures->shown < shown_max) {
            is_new |= pictures_bring(pictures);
        }
    }
    return is_new;
}

void stage_show(struct stage *stage, uint64_t shown_max) {
    if (!bring(stage, shown_max)) {
        return;
    }
    screen_appear(stage->screen);
    const int64_t present_ns = screen_present(stage->screen);
    for (uint32_t i = 0; i < stage->tiles; i++) {
        pictures_presented(&stage->tile[i].pictures, present_ns);
    }
}

/* Sleeps without a reader: until the instant, a signal, or mail. */
static void nap(struct shmframe_session *session, int64_t until_ns) {
    const int64_t left_ns = until_ns - shmframe_now_ns();
    if (left_ns <= 0) {
        return;
    }
    struct pollfd descriptors[] = {
        {.fd = program_stop_fd(), .events = POLLIN},
        {.fd = shmframe_session_fd(session), .events = POLLIN},
    };
    const struct timespec timeout = {
        .tv_sec = left_ns / SECOND_NS,
        .tv_nsec = left_ns % SECOND_NS,
    };
    ppoll(descriptors, 2, &timeout, NULL);
    shmframe_session_dispatch(session);
}

/* When it has something to show. Of a pair that is when the other one is there. */
static int64_t find_due_ns(struct stage *stage, struct pictures *pictures) {
    const bool is_pair_there = !stage->has_delta || (pictures_peek(stage->delta.pictures[0]) &&
                                                     pictures_peek(stage->delta.pictures[1]));
    return is_pair_there || pictures->is_brought ? pictures_due_ns(pictures) : INT64_MAX;
}

void stage_wait(struct stage *stage, int64_t until_ns) {
    struct shmframe_reader *readers[LAYOUT_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < stage->tiles; i++) {
        struct pictures *const pictures = &stage->tile[i].pictures;
        const int64_t due_ns = find_due_ns(stage, pictures);
        until_ns = due_ns < until_ns ? due_ns : until_ns;
        if (source_can_wait(&pictures->source) && pictures_has_room(pictures)) {
            readers[count++] = pictures->source.reader;
        }
    }
    uint64_t ready;
    if (count == 0) {
        nap(stage->session, until_ns);
    } else if (count == 1) {
        shmframe_reader_wait(readers[0], until_ns);
    } else {
        shmframe_readers_wait(readers, count, until_ns, &ready);
    }
}

static void update_captions(struct stage *stage) {
    char text[CAPTION_BYTES];
    if (stage->has_delta) {
        delta_describe(&stage->delta, text, sizeof text);
        screen_set_caption(stage->screen, 0, text);
        return;
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        tile_describe(&stage->tile[i], stage->tiles > 1 && stage->heard == (int)i, text,
                      sizeof text);
        screen_set_caption(stage->screen, i, text);
    }
}

void stage_look_after(struct stage *stage, int64_t now_ns) {
    bool is_picture_there = false;
    for (uint32_t i = 0; i < stage->tiles; i++) {
        tile_look_after(&stage->tile[i], now_ns);
        is_picture_there |= tile_is_open(&stage->tile[i]);
    }
    if (stage->listener) {
        listener_tell(stage->listener);
    }
    look_for_missing(stage, now_ns);
    const bool is_refused = stage->has_delta && stage->delta.trouble[0] != '\0';
    if (!is_picture_there || is_refused) {
        screen_show_alone(stage->screen);
    }
    update_captions(stage);
}

/* One that is over, or was, leaves the other alone. */
static bool is_pair_over(const struct stage *stage) {
    for (int i = 0; i < 2; i++) {
        const struct pictures *const pictures = stage->delta.pictures[i];
        const bool was_there = pictures->source.stream[0] != '\0';
        if (was_there && tile_is_over(&stage->tile[i])) {
            return true;
        }
    }
    return false;
}

bool stage_is_over(const struct stage *stage) {
    if (stage->has_delta) {
        return is_pair_over(stage);
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        if (!tile_is_over(&stage->tile[i])) {
            return false;
        }
    }
    if (!is_listening(stage)) {
        return true;
    }
    struct listener_state state;
    listener_get_state(stage->listener, &state);
    return state.is_over;
}

bool stage_is_evicted(const struct stage *stage) {
    for (uint32_t i = 0; i < stage->tiles; i++) {
        if (stage->tile[i].pictures.source.is_evicted) {
            return true;
        }
    }
    struct listener_state state = {0};
    if (stage->listener) {
        listener_get_state(stage->listener, &state);
    }
    return state.is_evicted;
}

/* ---- What the user wants ---- */

void stage_set_paused(struct stage *stage, bool is_paused) {
    for (uint32_t i = 0; i < stage->tiles; i++) {
        pictures_set_paused(&stage->tile[i].pictures, is_paused);
    }
    if (stage->listener) {
        listener_set_paused(stage->listener, is_paused);
    }
}

void stage_step(struct stage *stage, bool is_back) {
    /* A pair goes back together, or not at all. */
    if (is_back && stage->has_delta &&
        (stage->tile[0].pictures.next < 2 || stage->tile[1].pictures.next < 2)) {
        return;
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        pictures_step(&stage->tile[i].pictures, is_back);
    }
}

void stage_renew(struct stage *stage) {
    if (stage->has_delta) {
        delta_renew(&stage->delta);
        return;
    }
    for (uint32_t i = 0; i < stage->tiles; i++) {
        pictures_renew(&stage->tile[i].pictures);
    }
}
