#include "player.h"

#include "consumer.h"
#include "progress.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS        INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

static const int64_t events_ns = 10 * MS;
static const int64_t refresh_ns = 250 * MS; /* of the numbers, while no picture comes */

struct player {
    struct player_settings settings;
    struct stage *stage;
    bool is_paused;
    bool is_muted;
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

static void gather_facts(struct player *player, int64_t now_ns) {
    struct stage *const stage = player->stage;
    const struct pictures *const pictures = &stage->pictures;
    const struct shmframe_reader_counters counters = source_counters(&pictures->source);
    const bool has_picture = pictures->title[0] != '\0';
    struct listener_state sound = {0};
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
        .is_paused = player->is_paused,
        .is_muted = player->is_muted,
    };
    if (stage->listener) {
        const struct shmframe_reader_counters sounds =
            source_counters(listener_source(stage->listener));
        listener_get_state(stage->listener, &sound);
        facts.sound_title = sound.title[0] != '\0' ? sound.title : NULL;
        facts.sound_lost = sounds.lost_late + sounds.lost_restart;
        facts.sound = sound.sound;
    }
    screen_set_facts(stage->screen, &facts, now_ns);
}

static bool save_screen(struct player *player, const char *path) {
    const int error = screen_save(player->stage->screen, path);
    if (error) {
        program_warn("screenshot %s cannot be written: %s", path, strerror(-error));
    }
    return !error;
}

/* A screenshot by key: named after stream and time. */
static void save_screen_by_time(struct player *player) {
    const time_t now = time(NULL);
    struct tm parts;
    char instant[32], path[128];
    localtime_r(&now, &parts);
    strftime(instant, sizeof instant, "%Y%m%d-%H%M%S", &parts);
    snprintf(path, sizeof path, "%s-%s.png", player->settings.stage.name, instant);
    if (save_screen(player, path)) {
        program_warn("saved %s", path);
    }
}

static void obey_user(struct player *player) {
    struct listener *const listener = player->stage->listener;
    enum window_command command;
    while ((command = screen_next_command(player->stage->screen)) != WINDOW_NOTHING) {
        if (command == WINDOW_QUIT) {
            program_stop();
        } else if (command == WINDOW_PAUSE) {
            player->is_paused = !player->is_paused;
            if (listener) {
                listener_set_paused(listener, player->is_paused);
            }
        } else if (command == WINDOW_SCREENSHOT) {
            save_screen_by_time(player);
        } else if (command == WINDOW_MUTE && listener) {
            player->is_muted = !player->is_muted;
            listener_set_muted(listener, player->is_muted);
        }
        player->refresh_next_ns = 0;
    }
}

static void tell_progress(struct player *player, int64_t now_ns) {
    if (now_ns < player->progress_next_ns || !progress_is_shown()) {
        return;
    }
    player->progress_next_ns = now_ns + SECOND_NS;
    const struct pictures *const pictures = &player->stage->pictures;
    const struct meter_summary shown = meter_summarize(&pictures->display, now_ns, SECOND_NS);
    const struct shmframe_reader_counters counters = source_counters(&pictures->source);
    progress_update("%s: %.1f /s, capture to display p50 %.2f ms, lost %" PRIu64
                    ", unshown %" PRIu64,
                    player->settings.stage.name, shown.rate_hz, (double)shown.p50_ns / 1e6,
                    counters.lost_late + counters.lost_restart, pictures->unshown);
}

static void update_screen(struct player *player, int64_t now_ns) {
    if (now_ns >= player->events_next_ns) {
        player->events_next_ns = now_ns + events_ns;
        obey_user(player);
    }
    if (screen_wants_facts(player->stage->screen, now_ns)) {
        gather_facts(player, now_ns);
    }
    if (now_ns >= player->refresh_next_ns) {
        player->refresh_next_ns = now_ns + refresh_ns;
        /* A picture that was shown meanwhile brought the numbers along. */
        if (player->shown_before == player->stage->pictures.shown) {
            screen_refresh(player->stage->screen);
        }
        player->shown_before = player->stage->pictures.shown;
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
    player->is_muted = settings->stage.is_muted;
    *out_player = player;
    return stage_create(&settings->stage, &player->stage);
}

void player_destroy(struct player *player) {
    if (!player) {
        return;
    }
    stage_destroy(player->stage);
    free(player);
}

/* ---- The loop ---- */

/* Whether nothing is to come, to be shown or to be heard any more. */
static bool is_over(const struct player *player, int64_t now_ns) {
    if (program_is_stopping() || now_ns >= player->end_ns || player->has_failed) {
        return true;
    }
    const struct source *source = &player->stage->pictures.source;
    if (source->stream[0] == '\0') {
        source = listener_source(player->stage->listener);
    }
    if (consumer_has_enough(source == &player->stage->pictures.source
                                ? player->stage->pictures.shown
                                : source_counters(source).delivered)) {
        return true;
    }
    return !player->settings.stage.is_staying && stage_is_over(player->stage);
}

/* Whether --deadline is over, which is told. */
static bool is_late(struct player *player, int64_t now_ns) {
    const struct source *const sounds = player_sounds(player);
    const uint64_t frames = source_counters(&player->stage->pictures.source).delivered +
                            (sounds ? source_counters(sounds).delivered : 0);
    if (frames != player->frames) {
        player->frame_ns = now_ns;
        player->frames = frames;
    }
    if (now_ns < consumer_late_ns(player->frame_ns)) {
        return false;
    }
    consumer_tell_late(player->settings.stage.name);
    return true;
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

/* Sleeps until a picture can be taken, one is due, or the user may want something. */
static void wait(struct player *player) {
    struct pictures *const pictures = &player->stage->pictures;
    const int64_t due_ns = pictures_due_ns(pictures);
    int64_t until_ns = player->events_next_ns < due_ns ? player->events_next_ns : due_ns;
    if (until_ns > player->end_ns) {
        until_ns = player->end_ns;
    }
    if (source_can_wait(&pictures->source) && pictures_has_room(pictures)) {
        shmframe_reader_wait(pictures->source.reader, until_ns);
    } else {
        nap(player->stage->session, until_ns);
    }
}

int player_run(struct player *player) {
    struct stage *const stage = player->stage;
    player->started_ns = shmframe_now_ns();
    player->end_ns = consumer_end_ns();
    player->frame_ns = player->started_ns;
    int64_t now_ns = player->started_ns;
    while (!is_over(player, now_ns)) {
        wait(player);
        now_ns = shmframe_now_ns();
        pictures_show(&stage->pictures, player->is_paused, consumer_settings.frames);
        update_screen(player, now_ns);
        stage_look_after(stage, now_ns);
        player->has_failed |= stage->pictures.source.is_evicted || is_late(player, now_ns);
    }
    player->ended_ns = shmframe_now_ns();
    progress_clear();
    if (player->settings.screenshot && !save_screen(player, player->settings.screenshot)) {
        player->has_failed = true;
    }
    return player->has_failed ? EXIT_FAILED : EXIT_DONE;
}

void player_get_report(const struct player *player, struct player_report *out_report) {
    const struct pictures *const pictures = &player->stage->pictures;
    *out_report = (struct player_report){
        .duration_ns = player->ended_ns - player->started_ns,
        .shown = pictures->shown,
        .unshown = pictures->unshown,
        .converted = pictures->converted,
        .skew = pictures->skew_sizes,
    };
    if (player->stage->listener) {
        struct listener_state state;
        listener_get_state(player->stage->listener, &state);
        out_report->heard = state.heard;
        out_report->dropouts = state.sound.dropouts;
        out_report->sound_delay_ns = state.sound.delay_ns;
        out_report->sound_dropped_ns = (int64_t)state.sound.dropped_ns;
    }
}

const struct source *player_pictures(const struct player *player) {
    const struct source *const source = &player->stage->pictures.source;
    return source->stream[0] != '\0' ? source : NULL;
}

const struct source *player_sounds(const struct player *player) {
    struct listener *const listener = player->stage->listener;
    return listener && listener_is_open(listener) ? listener_source(listener) : NULL;
}
