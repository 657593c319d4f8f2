#include "tile.h"

#include "consumer.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PICTURE_DEPTH =
        9, /* with the leases 200 ms at 60 Hz: what sound needs, and time to oversleep */
    PICTURE_LEASES = SHMFRAME_LEASES_MAX,
    LATEST_LEASES = 4, /* one on the screen, two to step to, one for what is passed over */
};

struct shmframe_reader_params tile_reader_params(const struct tile *tile, const char *stream) {
    struct shmframe_reader_params params = consumer_reader_params(stream);
    if (!consumer_settings.policy && (tile->is_each_wanted || consumer_settings.depth > 0)) {
        params.policy = SHMFRAME_IN_ORDER;
    }
    const bool is_latest = params.policy == SHMFRAME_LATEST;
    if (params.depth == 0 && !is_latest) {
        params.depth = tile->wanted_depth > 0 ? tile->wanted_depth : PICTURE_DEPTH;
    }
    if (params.leases == 0) {
        params.leases = is_latest ? LATEST_LEASES : PICTURE_LEASES;
    }
    return params;
}

int tile_open(struct tile *tile, const char *stream, int64_t deadline_ns) {
    struct shmframe_reader_params params = tile_reader_params(tile, stream);
    params.deadline_ns = deadline_ns;
    return pictures_open(&tile->pictures, tile->finder.session, &params);
}

bool tile_is_open(const struct tile *tile) {
    return tile->pictures.source.reader;
}

bool tile_reopen(struct tile *tile) {
    const struct shmframe_reader_params params =
        tile_reader_params(tile, tile->pictures.source.stream);
    return pictures_reopen(&tile->pictures, tile->finder.session, &params) == 0;
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
    if (consumer_settings.depth == 0 && wanted > tile->wanted_depth &&
        wanted <= SHMFRAME_DEPTH_MAX) {
        tile->wanted_depth = wanted;
        if (tile_reopen(tile)) {
            return;
        }
    }
    tile->has_told_short = true;
    program_warn("pictures are shown before their sound is heard: they cannot be held for long "
                 "enough; that takes --depth %u",
                 wanted);
}

static void tell(struct tile *tile) {
    struct source *const source = &tile->pictures.source;
    for (uint32_t i = 0; i < source->events; i++) {
        const enum shmframe_reader_event_type type = source->event[i].type;
        tile->is_orphan = type == SHMFRAME_WRITER_GONE ||
                          (tile->is_orphan && type != SHMFRAME_RESTARTED && type != SHMFRAME_ENDED);
    }
    source_tell_events(source);
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
    tell(tile);
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
    snprintf(out_text, text_bytes, "%s%s%s%s%s", has_title ? stream : tile->finder.name,
             describe_state(tile), is_heard ? "  sound" : "", pause,
             has_title ? pictures->title + strlen(stream) : "");
}
