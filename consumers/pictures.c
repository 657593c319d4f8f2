#include "pictures.h"

#include "program.h"
#include "sync.h"
#include <stdio.h>
#include <string.h>

#define MS        INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

static const int64_t judge_ns = 500 * MS;
static const int64_t interval_guess_ns = SECOND_NS / 30;
static const int64_t patience_ns = 2 * SECOND_NS; /* with a delay that cannot be met */
enum { DEPTH_SPARE = 2 }; /* pictures that may come while one is brought to the screen */

int pictures_open(struct pictures *pictures, struct shmframe_session *session,
                  const struct shmframe_reader_params *params) {
    pictures->is_format_due = true;
    return source_open(&pictures->source, session, params);
}

/* The first picture goes; what it was to begin, the next one begins. */
static void drop_first(struct pictures *pictures) {
    struct held_picture *const held = pictures->held;
    const bool is_new_format = held[0].is_new_format;
    shmframe_reader_release(pictures->source.reader, &held[0].lease);
    pictures->held_count--;
    memmove(held, held + 1, pictures->held_count * sizeof held[0]);
    if (pictures->held_count > 0) {
        held[0].is_new_format |= is_new_format;
    } else {
        pictures->is_format_due |= is_new_format;
    }
}

static void drop_all(struct pictures *pictures) {
    while (pictures->held_count > 0) {
        drop_first(pictures);
    }
}

int pictures_reopen(struct pictures *pictures, struct shmframe_session *session,
                    const struct shmframe_reader_params *params) {
    drop_all(pictures);
    pictures->is_format_due = true;
    return source_reopen(&pictures->source, session, params);
}

void pictures_close(struct pictures *pictures) {
    drop_all(pictures);
    source_close(&pictures->source);
}

/* ---- When ---- */

/* How long after its capture sound is heard; 0: pictures need not care. */
static int64_t sound_delay(struct pictures *pictures, bool *out_is_measured) {
    int64_t sound_ns = 0;
    *out_is_measured = false;
    const bool is_held_for = pictures->delay_max_ns > 0 && pictures->listener &&
                             listener_delay_ns(pictures->listener, &sound_ns, out_is_measured);
    return is_held_for ? sound_ns : 0;
}

/* How long after its capture a picture is to be shown; 0: at once. */
static int64_t delay_ns(struct pictures *pictures) {
    bool is_measured;
    const int64_t sound_ns = sound_delay(pictures, &is_measured);
    return sound_ns < pictures->delay_max_ns ? sound_ns : pictures->delay_max_ns;
}

uint32_t pictures_wanted_depth(struct pictures *pictures, int64_t now_ns) {
    bool is_measured;
    const int64_t sound_ns = sound_delay(pictures, &is_measured);
    if (!is_measured || sound_ns <= pictures->delay_max_ns) {
        pictures->short_ns = 0;
        return 0;
    }
    if (pictures->short_ns == 0) {
        pictures->short_ns = now_ns;
    }
    if (now_ns - pictures->short_ns < patience_ns) {
        return 0;
    }
    pictures->short_ns = 0;
    return (uint32_t)(sound_ns / pictures->interval_ns) + 2 * DEPTH_SPARE;
}

static int64_t due_ns(const struct pictures *pictures, const struct held_picture *held,
                      int64_t delay) {
    return delay > 0 ? held->lease.frame.capture_ns + delay - pictures->cost_ns : 0;
}

int64_t pictures_due_ns(struct pictures *pictures) {
    return pictures->held_count > 0 ? due_ns(pictures, &pictures->held[0], delay_ns(pictures))
                                    : INT64_MAX;
}

void pictures_judge_lateness(struct pictures *pictures, int64_t now_ns) {
    if (!pictures->listener || now_ns < pictures->judge_next_ns) {
        return;
    }
    pictures->judge_next_ns = now_ns + judge_ns;
    const struct meter_summary skew = meter_summarize(&pictures->skew, now_ns, 2 * judge_ns);
    const bool is_late = pictures->delay_max_ns > 0 && skew.p50_ns > 0;
    listener_set_lateness(pictures->listener, is_late ? skew.p50_ns : 0, pictures->delay_max_ns);
}

/* ---- What ---- */

bool pictures_has_room(const struct pictures *pictures) {
    return pictures->held_count < pictures->source.params.leases;
}

/* Takes all there is and may be held. */
static void take(struct pictures *pictures) {
    while (source_is_flowing(&pictures->source) && pictures_has_room(pictures)) {
        struct held_picture *const held = &pictures->held[pictures->held_count];
        if (!source_take(&pictures->source, &held->lease)) {
            return;
        }
        const struct shmframe_lease *const lease = &held->lease;
        pictures->held_count++;
        held->is_new_format = pictures->is_format_due || (lease->flags & SHMFRAME_LEASE_NEW_FORMAT);
        pictures->is_format_due = false;
        meter_add(&pictures->age, lease->acquire_ns, lease->acquire_ns - lease->frame.capture_ns);
    }
}

static void begin_format(struct pictures *pictures, const struct shmframe_format *format) {
    if (screen_set_format(pictures->screen, format)) {
        program_fail("stream %s: %s", pictures->source.stream, screen_trouble(pictures->screen));
    }
    if (screen_remark(pictures->screen)) {
        program_warn("stream %s: %s", pictures->source.stream, screen_remark(pictures->screen));
    }
    const struct shmframe_rational rate = format->video.frame_rate;
    pictures->interval_ns =
        rate.num > 0 && rate.den > 0 ? SECOND_NS * rate.den / rate.num : interval_guess_ns;
    const struct shmframe_reader_params *const params = &pictures->source.params;
    pictures->delay_max_ns =
        params->policy == SHMFRAME_LATEST || params->depth + params->leases <= DEPTH_SPARE
            ? 0
            : (params->depth + params->leases - DEPTH_SPARE) * pictures->interval_ns;
    char description[128];
    shmframe_format_describe(format, description, sizeof description);
    snprintf(pictures->title, sizeof pictures->title, "%s  %s", pictures->source.stream,
             description);
    window_set_title(screen_window(pictures->screen), pictures->title);
}

static void measure_skew(struct pictures *pictures, const struct shmframe_lease *lease,
                         int64_t present_ns) {
    int64_t sound_ns;
    bool is_measured;
    if (!pictures->listener || !listener_delay_ns(pictures->listener, &sound_ns, &is_measured) ||
        !is_measured) {
        return;
    }
    const int64_t skew_ns = present_ns - lease->frame.capture_ns - sound_ns;
    meter_add(&pictures->skew, present_ns, skew_ns);
    shmframe_histogram_add(&pictures->skew_sizes, skew_ns < 0 ? -skew_ns : skew_ns);
}

static void show(struct pictures *pictures, struct held_picture *held) {
    const struct shmframe_lease *const lease = &held->lease;
    if (held->is_new_format) {
        begin_format(pictures, lease->format);
        held->is_new_format = false;
    }
    const int64_t begin_ns = shmframe_now_ns();
    int64_t present_ns;
    if (screen_present(pictures->screen, lease, &present_ns)) {
        program_fail("stream %s: %s", pictures->source.stream, screen_trouble(pictures->screen));
    }
    pictures->cost_ns = sync_cost_update_ns(pictures->cost_ns, present_ns - begin_ns);
    shmframe_reader_present(pictures->source.reader, lease, present_ns);
    meter_add(&pictures->display, present_ns, present_ns - lease->frame.capture_ns);
    measure_skew(pictures, lease, present_ns);
    pictures->shown++;
    pictures->converted += screen_is_converting(pictures->screen);
}

/* Judges the first picture. False: it waits for its moment. */
static bool judge_first(struct pictures *pictures) {
    const int64_t delay = delay_ns(pictures);
    /* Without sound nothing is overdue: each picture that was taken is shown. */
    const int64_t second_due_ns = pictures->held_count > 1 && delay > 0
                                      ? due_ns(pictures, &pictures->held[1], delay)
                                      : INT64_MAX;
    const int64_t first_due_ns = due_ns(pictures, &pictures->held[0], delay);
    switch (sync_picture_judge(first_due_ns, second_due_ns, shmframe_now_ns())) {
    case SYNC_WAIT:
        return false;
    case SYNC_DROP:
        pictures->unshown++;
        break;
    case SYNC_SHOW:
        show(pictures, &pictures->held[0]);
        break;
    }
    drop_first(pictures);
    return true;
}

void pictures_show(struct pictures *pictures, bool is_paused, uint64_t shown_max) {
    while (shown_max == 0 || pictures->shown < shown_max) {
        take(pictures);
        if (pictures->held_count == 0) {
            return;
        }
        if (is_paused) {
            drop_first(pictures);
        } else if (!judge_first(pictures)) {
            return;
        }
    }
}
