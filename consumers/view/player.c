#include "player.h"

#include "album.h"
#include "consumer.h"
#include "progress.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS        INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

static const int64_t events_ns = 10 * MS;
static const int64_t refresh_ns = 250 * MS; /* of the numbers, while no picture comes */
static const int64_t gauges_ns = 40 * MS;
static const int64_t delay_step_ns = 5 * MS;
static const int volume_step_db = 2, volume_min_db = -60;

struct player {
    struct player_settings settings;
    struct stage *stage;
    bool is_paused;
    bool is_muted;
    int volume_db; /* at most 0 */
    struct stage_delays delays;
    enum canvas_ground ground;
    bool has_gauges;
    bool is_gauges_key; /* the user has said so, or not: has_gauges counts alone */
    int64_t gauges_next_ns;
    bool has_failed;
    uint64_t shown_before; /* at the last refresh */
    int64_t started_ns, ended_ns;
    int64_t end_ns;
    int64_t frame_ns; /* when the last frame was there, for --deadline */
    uint64_t frames;  /* so many by then */
    int64_t events_next_ns;
    int64_t refresh_next_ns;
    int64_t progress_next_ns;
};

/* ---- What the user sees and wants ---- */

static void add_sound_facts(const struct stage *stage, struct listener_state *sound,
                            struct overlay_facts *facts) {
    const struct shmframe_reader_counters sounds =
        source_counters(listener_source(stage->listener));
    listener_get_state(stage->listener, sound);
    facts->sound_title = sound->title[0] != '\0' ? sound->title : NULL;
    facts->sound_lost = sounds.lost_late + sounds.lost_restart;
    facts->sound = sound->sound;
}

/* Before the title of the sound: what was done to it. */
static void describe_wishes(const struct player *player, char *out_text, size_t text_bytes) {
    const struct stage_delays *const delays = &player->delays;
    size_t used = 0;
    out_text[0] = '\0';
    if (player->is_muted) {
        used += (size_t)snprintf(out_text + used, text_bytes - used, "muted  ");
    } else if (player->volume_db < 0) {
        used += (size_t)snprintf(out_text + used, text_bytes - used, "%d dB  ", player->volume_db);
    }
    if (delays->sound_ns > 0) {
        used += (size_t)snprintf(out_text + used, text_bytes - used, "sound +%.0f ms  ",
                                 (double)delays->sound_ns / 1e6);
    }
    if (delays->picture_ns > 0) {
        snprintf(out_text + used, text_bytes - used, "picture +%.0f ms  ",
                 (double)delays->picture_ns / 1e6);
    }
}

static void gather_facts(const struct player *player, uint32_t index, int64_t now_ns) {
    const struct stage *const stage = player->stage;
    const struct tile *const tile = &stage->tile[index];
    const struct pictures *const pictures = &tile->pictures;
    const struct shmframe_reader_counters counters = source_counters(&pictures->source);
    const bool has_picture = pictures->title[0] != '\0';
    const bool is_heard = stage->heard == (int)index;
    struct listener_state sound;
    char wishes[48];
    describe_wishes(player, wishes, sizeof wishes);
    struct overlay_facts facts = {
        .picture_title = has_picture ? pictures->title : NULL,
        .age = &pictures->age,
        .display = &pictures->display,
        .skew = has_picture ? &pictures->skew : NULL,
        .shown = pictures->shown,
        .unshown = pictures->unshown,
        .converted = pictures->converted,
        .lost = counters.lost_late + counters.lost_restart,
        .skipped = counters.skipped,
        .sequence = pictures->sequence,
        .is_paused = player->is_paused,
        .wishes = wishes,
    };
    if (is_heard) {
        add_sound_facts(stage, &sound, &facts);
    }
    overlay_update(screen_pane(stage->screen, index)->overlay, &facts, now_ns);
}

/* The picture under the mouse. */
static void save_frame(struct player *player) {
    const int pane = screen_pointed(player->stage->screen);
    struct tile *const tile = &player->stage->tile[pane > 0 ? pane : 0];
    album_add_frame(&tile->pictures, tile->name);
}

static void set_paused(struct player *player, bool is_paused) {
    player->is_paused = is_paused;
    stage_set_paused(player->stage, is_paused);
}

static void set_gain(struct player *player) {
    if (player->stage->listener) {
        const float gain = (float)pow(10, player->volume_db / 20.0);
        listener_set_gain(player->stage->listener, player->is_muted ? 0 : gain);
    }
}

static void change_volume(struct player *player, int step) {
    const int wanted_db = player->volume_db + step * volume_step_db;
    player->volume_db = wanted_db > 0 ? 0 : wanted_db < volume_min_db ? volume_min_db : wanted_db;
    set_gain(player);
}

static void change_delay(struct player *player, int64_t *delay_ns, int step) {
    const int64_t wanted_ns = *delay_ns + step * delay_step_ns;
    *delay_ns = wanted_ns < 0 ? 0 : wanted_ns > SOUND_LATER_MAX_NS ? SOUND_LATER_MAX_NS : wanted_ns;
    stage_set_delays(player->stage, player->delays);
}

/* Where there are no pictures there is nothing else to look at. */
static bool are_gauges_shown(const struct player *player) {
    return player->has_gauges ||
           (!player->is_gauges_key && !player_pictures(player, 0) && player->stage->tiles == 1);
}

static void obey(struct player *player, const struct window_event *event) {
    switch (event->command) {
    case WINDOW_QUIT:
        program_stop();
        break;
    case WINDOW_PAUSE:
        set_paused(player, !player->is_paused);
        break;
    case WINDOW_STEP:
    case WINDOW_STEP_BACK:
        if (!player->is_paused) {
            set_paused(player, true);
        }
        stage_step(player->stage, event->command == WINDOW_STEP_BACK);
        break;
    case WINDOW_SCREENSHOT:
        album_add_screen(player->stage->screen, player->settings.stage.names[0]);
        break;
    case WINDOW_SAVE:
        save_frame(player);
        break;
    case WINDOW_MUTE:
        player->is_muted = !player->is_muted;
        set_gain(player);
        break;
    case WINDOW_VOLUME:
        change_volume(player, event->step);
        break;
    case WINDOW_SOUND_DELAY:
        change_delay(player, &player->delays.sound_ns, event->step);
        break;
    case WINDOW_PICTURE_DELAY:
        change_delay(player, &player->delays.picture_ns, event->step);
        break;
    case WINDOW_GAUGES:
        player->has_gauges = !are_gauges_shown(player);
        player->is_gauges_key = true;
        break;
    case WINDOW_GROUND:
        player->ground = (player->ground + 1) % CANVAS_GROUNDS;
        for (uint32_t i = 0; i < screen_panes(player->stage->screen); i++) {
            canvas_set_ground(screen_pane(player->stage->screen, i)->canvas, player->ground);
        }
        break;
    case WINDOW_SOUND:
        stage_choose_sound(player->stage, event->number);
        break;
    case WINDOW_RESET:
        stage_renew(player->stage);
        break;
    case WINDOW_INSPECT:
    case WINDOW_POINT:
    case WINDOW_NOTHING:
    case WINDOW_OVERLAY:
    case WINDOW_LAYOUT:
    case WINDOW_ENLARGE:
    case WINDOW_ZOOM:
    case WINDOW_ZOOM_FIT:
    case WINDOW_ZOOM_NATURAL:
    case WINDOW_PAN:
    case WINDOW_REDRAW:
        break;
    }
}

static void obey_user(struct player *player) {
    struct window_event event;
    while ((event = screen_next_event(player->stage->screen)).command != WINDOW_NOTHING) {
        obey(player, &event);
        player->refresh_next_ns = 0;
    }
}

static uint64_t count_shown(const struct player *player) {
    uint64_t shown = 0;
    for (uint32_t i = 0; i < player->stage->tiles; i++) {
        shown += player->stage->tile[i].pictures.shown;
    }
    return shown;
}

static void tell_progress(struct player *player, int64_t now_ns) {
    if (now_ns < player->progress_next_ns || !progress_is_shown()) {
        return;
    }
    player->progress_next_ns = now_ns + SECOND_NS;
    const struct pictures *const pictures = &player->stage->tile[0].pictures;
    const struct meter_summary shown = meter_summarize(&pictures->display, now_ns, SECOND_NS);
    const struct shmframe_reader_counters counters = source_counters(&pictures->source);
    progress_update("%s: %.1f /s, capture to display p50 %.2f ms, lost %" PRIu64
                    ", unshown %" PRIu64,
                    player->settings.stage.names[0], shown.rate_hz, (double)shown.p50_ns / 1e6,
                    counters.lost_late + counters.lost_restart, pictures->unshown);
}

/* They are drawn with the pictures, or by themselves where none come. */
static void update_gauges(struct player *player, int64_t now_ns) {
    struct stage *const stage = player->stage;
    if (now_ns < player->gauges_next_ns) {
        return;
    }
    player->gauges_next_ns = now_ns + gauges_ns;
    const bool is_shown = are_gauges_shown(player);
    for (uint32_t i = 0; i < screen_panes(stage->screen); i++) {
        struct gauge_reading *const gauges = &screen_pane(stage->screen, i)->gauges;
        gauges->channels = 0;
        if (is_shown && stage->heard == (int)i) {
            listener_read_gauges(stage->listener, gauges);
        }
    }
    if (is_shown && !player_pictures(player, 0) && window_is_shown(screen_window(stage->screen))) {
        screen_present(stage->screen);
    }
}

static void update_screen(struct player *player, int64_t now_ns) {
    struct stage *const stage = player->stage;
    if (now_ns >= player->events_next_ns) {
        player->events_next_ns = now_ns + events_ns;
        obey_user(player);
    }
    for (uint32_t i = 0; i < screen_panes(stage->screen); i++) {
        if (screen_wants_facts(stage->screen, i, now_ns)) {
            gather_facts(player, i, now_ns);
        }
    }
    update_gauges(player, now_ns);
    if (now_ns >= player->refresh_next_ns) {
        player->refresh_next_ns = now_ns + refresh_ns;
        /* A picture that was shown meanwhile brought the numbers along. */
        const uint64_t shown = count_shown(player);
        if (player->shown_before == shown && window_is_shown(screen_window(stage->screen))) {
            screen_present(stage->screen);
        }
        player->shown_before = shown;
    }
    tell_progress(player, now_ns);
}

/* ---- Life ---- */

int player_create(const struct player_settings *settings, struct player **out_player) {
    struct player *const player = calloc(1, sizeof *player);
    if (!player) {
        return -ENOMEM;
    }
    player->settings = *settings;
    player->is_muted = settings->is_muted;
    player->has_gauges = settings->has_gauges;
    player->delays = settings->stage.delays;
    *out_player = player;
    const int error = stage_create(&settings->stage, &player->stage);
    if (!error) {
        set_gain(player);
    }
    return error;
}

void player_destroy(struct player *player) {
    if (!player) {
        return;
    }
    stage_destroy(player->stage);
    free(player);
}

/* ---- The loop ---- */

/* Whether one of them has shown, or where there are no pictures played, what --frames asked for. */
static bool has_enough(const struct stage *stage) {
    bool is_picture_there = false;
    for (uint32_t i = 0; i < stage->tiles; i++) {
        is_picture_there |= stage->tile[i].pictures.source.stream[0] != '\0';
        if (consumer_has_enough(stage->tile[i].pictures.shown)) {
            return true;
        }
    }
    return !is_picture_there && stage->listener &&
           consumer_has_enough(source_counters(listener_source(stage->listener)).delivered);
}

/* Whether nothing is to come, to be shown or to be heard any more. */
static bool is_over(const struct player *player, int64_t now_ns) {
    return program_is_stopping() || now_ns >= player->end_ns || player->has_failed ||
           has_enough(player->stage) ||
           (!player->is_paused && !player->settings.stage.is_staying &&
            stage_is_over(player->stage));
}

/* Whether --deadline is over, which is told. */
static bool is_late(struct player *player, int64_t now_ns) {
    const struct source *const sounds = player_sounds(player);
    uint64_t frames = sounds ? source_counters(sounds).delivered : 0;
    for (uint32_t i = 0; i < player->stage->tiles; i++) {
        frames += source_counters(&player->stage->tile[i].pictures.source).delivered;
    }
    if (frames != player->frames || player->is_paused) {
        player->frame_ns = now_ns;
        player->frames = frames;
    }
    if (now_ns < consumer_late_ns(player->frame_ns)) {
        return false;
    }
    consumer_tell_late(player->settings.stage.names[0]);
    return true;
}

/* Of several streams the others go on when one is taken away. */
static bool is_evicted(const struct stage *stage) {
    return stage->tiles == 1 && stage_is_evicted(stage);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns) {
    return a_ns < b_ns ? a_ns : b_ns;
}

int player_run(struct player *player) {
    struct stage *const stage = player->stage;
    player->started_ns = shmframe_now_ns();
    player->end_ns = consumer_end_ns();
    player->frame_ns = player->started_ns;
    int64_t now_ns = player->started_ns;
    while (!is_over(player, now_ns)) {
        stage_wait(stage, earlier(player->events_next_ns, player->end_ns));
        now_ns = shmframe_now_ns();
        stage_show(stage, consumer_settings.frames);
        update_screen(player, now_ns);
        stage_look_after(stage, now_ns);
        player->has_failed |= is_evicted(stage) || is_late(player, now_ns);
    }
    player->ended_ns = shmframe_now_ns();
    progress_clear();
    player->has_failed |= stage_is_evicted(stage);
    if (player->settings.screenshot &&
        !album_save_screen(player->stage->screen, player->settings.screenshot)) {
        player->has_failed = true;
    }
    return player->has_failed ? EXIT_FAILED : EXIT_DONE;
}

void player_get_report(const struct player *player, struct player_report *out_report) {
    const int64_t ended_ns = player->ended_ns > 0 ? player->ended_ns : shmframe_now_ns();
    *out_report = (struct player_report){.duration_ns = ended_ns - player->started_ns};
    for (uint32_t i = 0; i < player->stage->tiles; i++) {
        const struct pictures *const pictures = &player->stage->tile[i].pictures;
        out_report->shown += pictures->shown;
        out_report->unshown += pictures->unshown;
        out_report->converted += pictures->converted;
        out_report->passed += pictures->passed;
        out_report->missed += pictures->missed;
        source_add_histogram(&out_report->skew, &pictures->skew_sizes);
    }
    if (player->stage->has_delta) {
        /* Pairs: each is one picture in the window. */
        out_report->shown = player->stage->tile[0].pictures.shown;
        out_report->converted = player->stage->delta.converted;
    }
    if (player->stage->listener) {
        struct listener_state state;
        listener_get_state(player->stage->listener, &state);
        out_report->heard = state.heard;
        out_report->sound_passed = state.passed;
        const bool is_any = player_sounds(player) || player_sounds_before(player, 0);
        snprintf(out_report->sound_trouble, sizeof out_report->sound_trouble, "%s",
                 is_any ? state.trouble : "");
        out_report->dropouts = state.sound.dropouts;
        out_report->sound_delay_ns = state.sound.delay_ns;
        out_report->sound_dropped_ns = (int64_t)state.sound.dropped_ns;
    }
}

const struct inspector *player_inspector(const struct player *player) {
    return screen_inspector(player->stage->screen);
}

const struct delta *player_delta(const struct player *player) {
    return player->stage->has_delta ? &player->stage->delta : NULL;
}

const struct pictures *player_pictures(const struct player *player, uint32_t index) {
    const struct pictures *const pictures = &player->stage->tile[index].pictures;
    return pictures->source.stream[0] != '\0' ? pictures : NULL;
}

const struct source *player_sounds(const struct player *player) {
    struct listener *const listener = player->stage->listener;
    return listener && listener_is_open(listener) ? listener_source(listener) : NULL;
}

const struct source *player_sounds_before(const struct player *player, uint32_t index) {
    const struct listener *const listener = player->stage->listener;
    return listener ? listener_source_before(listener, index) : NULL;
}
