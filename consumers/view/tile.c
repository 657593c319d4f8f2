#include "tile.h"

#include "consumer.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

enum {
    PICTURE_DEPTH =
        9, /* with the leases 200 ms at 60 Hz: what sound needs, and time to oversleep */
    PICTURE_LEASES = SHMFRAME_LEASES_MAX,
    DELAYED_HZ = 60,   /* of pictures whose rate is not known yet */
    LATEST_LEASES = 4, /* one on the screen, two to step to, one for what is passed over */
};

static const int64_t format_quiet_ns = 10 * SECOND_NS;

/* What holds pictures for as long as the user wants them later: each opening anew costs some. */
static uint32_t default_depth(const struct tile *tile) {
    const int64_t later_ns = tile->pictures.later_ns;
    const uint32_t later = PICTURE_DEPTH + (uint32_t)(later_ns * DELAYED_HZ / SECOND_NS);
    const uint32_t depth = later > tile->wanted_depth ? later : tile->wanted_depth;
    return depth < SHMFRAME_DEPTH_MAX ? depth : SHMFRAME_DEPTH_MAX;
}

struct shmframe_reader_params tile_reader_params(const struct tile *tile, const char *stream) {
    struct shmframe_reader_params params = consumer_reader_params(stream);
    if (!consumer_settings.policy && (tile->is_each_wanted || consumer_settings.depth > 0)) {
        params.policy = SHMFRAME_IN_ORDER;
    }
    const bool is_latest = params.policy == SHMFRAME_LATEST;
    if (params.depth == 0 && !is_latest) {
        params.depth = default_depth(tile);
    }
    if (params.leases == 0) {
        params.leases = is_latest ? LATEST_LEASES : PICTURE_LEASES;
    }
    return params;
}

int tile_open(struct tile *tile, const char *stream, int64_t deadline_ns) {
    struct shmframe_reader_params params = tile_reader_params(tile, stream);
    params.deadline_ns = deadline_ns;
    tile->is_reopen_due = false;
    return pictures_open(&tile->pictures, tile->session, &params);
}

bool tile_is_open(const struct tile *tile) {
    return tile->pictures.source.reader;
}

/* Reads it as it is to be read now. Where that cannot be had it goes on as before. */
static bool reopen(struct tile *tile) {
    tile->is_reopen_due = false;
    const struct shmframe_reader_params params =
        tile_reader_params(tile, tile->pictures.source.stream);
    return pictures_reopen(&tile->pictures, tile->session, &params) == 0;
}

void tile_close(struct tile *tile) {
    pictures_close(&tile->pictures);
}

/* Some sound devices take longer than pictures are kept by default. */
static void look_after_depth(struct tile *tile, int64_t now_ns) {
    const uint32_t wanted = pictures_wanted_depth(&tile->pictures, now_ns);
    if (wanted == 0 || tile->has_told_short) {
        return;
    }
    /* Where the writer waits for its readers none is to be missed. */
    if (consumer_settings.depth == 0 && wanted > tile->wanted_depth &&
        wanted <= SHMFRAME_DEPTH_MAX && tile->pictures.source.params.policy != SHMFRAME_LOSSLESS) {
        tile->wanted_depth = wanted;
        if (reopen(tile)) {
            return;
        }
    }
    tile->has_told_short = true;
    program_warn("pictures are shown before their sound is heard: they cannot be held for long "
                 "enough; that takes --depth %u",
                 wanted);
}

/* Some writers change it with every other picture. */
static bool is_format_worth_telling(struct tile *tile, int64_t now_ns) {
    if (tile->format_ns > 0 && now_ns - tile->format_ns < format_quiet_ns) {
        return false;
    }
    tile->format_ns = now_ns;
    return true;
}

static void tell_stamps(struct tile *tile) {
    const struct pictures *const pictures = &tile->pictures;
    if (pictures->ahead_ns == 0 || tile->has_told_ahead) {
        return;
    }
    tile->has_told_ahead = true;
    program_warn("stream %s: its writer stamps pictures %.1f s ahead of CLOCK_MONOTONIC: they are "
                 "taken as captured when they come, and latencies are not to be trusted",
                 pictures->source.stream, (double)pictures->ahead_ns / 1e9);
}

static void tell(struct tile *tile, int64_t now_ns) {
    struct source *const source = &tile->pictures.source;
    for (uint32_t i = 0; i < source->events; i++) {
        struct shmframe_reader_event *const event = &source->event[i];
        const enum shmframe_reader_event_type type = event->type;
        if (type == SHMFRAME_FORMAT && !is_format_worth_telling(tile, now_ns)) {
            event->type = SHMFRAME_READER_EVENT_NONE;
        }
        tile->is_orphan = type == SHMFRAME_WRITER_GONE ||
                          (tile->is_orphan && type != SHMFRAME_RESTARTED && type != SHMFRAME_ENDED);
    }
    source_tell_events(source);
    tell_stamps(tile);
    if (source->trouble[0] == '\0' || tile->has_told_trouble) {
        return;
    }
    if (!tile->is_one_of_several) {
        program_fail("stream %s: %s", source->stream, source->trouble);
    }
    tile->has_told_trouble = true;
    tile->has_lost_hope = true;
    program_warn("stream %s: %s", source->stream, source->trouble);
    tile_close(tile); /* a writer that waits for its readers is not to wait for this one */
}

void tile_look_after(struct tile *tile, int64_t now_ns) {
    tell(tile, now_ns);
    if (tile->is_reopen_due && tile_is_open(tile) && !tile->pictures.is_paused) {
        reopen(tile);
    }
    pictures_judge_lateness(&tile->pictures, now_ns);
    look_after_depth(tile, now_ns);
}

bool tile_is_over(const struct tile *tile) {
    return !source_can_wait(&tile->pictures.source) && !pictures_are_waiting(&tile->pictures);
}

static const char *describe_state(const struct tile *tile) {
    const struct source *const source = &tile->pictures.source;
    if (source->trouble[0] != '\0' || tile->has_lost_hope) {
        return "  cannot be shown";
    }
    if (source->is_evicted) {
        return "  evicted";
    }
    if (source->has_ended) {
        return "  ended";
    }
    return !source->reader || tile->is_orphan || tile->pictures.sequence == 0 ? "  waiting" : "";
}

void tile_describe(const struct tile *tile, bool is_heard, char *out_text, size_t text_bytes) {
    const struct pictures *const pictures = &tile->pictures;
    const char *const stream = pictures->source.stream;
    const bool is_paused = pictures->is_paused && pictures->sequence > 0;
    char pause[40] = "";
    if (is_paused) {
        snprintf(pause, sizeof pause, "  paused  #%" PRIu64, pictures->sequence);
    }
    /* A title begins with the stream's name; where there is little room, its end is cut. */
    const bool has_title = pictures->title[0] != '\0';
    snprintf(out_text, text_bytes, "%s%s%s%s%s", has_title ? stream : tile->name,
             describe_state(tile), is_heard ? "  sound" : "", pause,
             has_title ? pictures->title + strlen(stream) : "");
}
