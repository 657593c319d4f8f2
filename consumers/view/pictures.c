#include "pictures.h"

#include "program.h"
#include "sync.h"
#include <shmframe/avframe.h>
#include <stdio.h>
#include <string.h>

#define MS        INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

static const int64_t judge_ns = 500 * MS;
static const int64_t interval_guess_ns = SECOND_NS / 30;
static const int64_t interval_min_ns = MS;        /* no window shows more */
static const int64_t patience_ns = 2 * SECOND_NS; /* with a delay that cannot be met */
static const int64_t ahead_max_ns = 100 * MS; /* device clocks are converted: not to the letter */
enum { DEPTH_SPARE = 2 }; /* pictures that may come while one is brought to the screen */

/* ---- Held ---- */

/* By its writer. */
static bool is_waited_for(const struct pictures *pictures) {
    return pictures->source.params.policy == SHMFRAME_LOSSLESS;
}

int pictures_open(struct pictures *pictures, struct shmframe_session *session,
                  const struct shmframe_reader_params *params) {
    pictures->taken = 0;
    return source_open(&pictures->source, session, params);
}

static void drop(struct pictures *pictures, uint32_t index) {
    struct held_picture *const held = pictures->held;
    if (held[index].frame) {
        av_frame_free(&held[index].frame);
    } else {
        shmframe_reader_release(pictures->source.reader, &held[index].lease);
    }
    pictures->held_count--;
    memmove(held + index, held + index + 1, (pictures->held_count - index) * sizeof held[0]);
    pictures->next -= index < pictures->next;
}

static void drop_all(struct pictures *pictures) {
    while (pictures->held_count > 0) {
        drop(pictures, 0);
    }
    pictures->is_brought = false;
    pictures->steps = 0;
}

int pictures_reopen(struct pictures *pictures, struct shmframe_session *session,
                    const struct shmframe_reader_params *params) {
    pictures->unshown += pictures->held_count - pictures->next;
    drop_all(pictures);
    return source_reopen(&pictures->source, session, params);
}

void pictures_close(struct pictures *pictures) {
    drop_all(pictures);
    source_close(&pictures->source);
}

const struct shmframe_lease *pictures_on_screen(const struct pictures *pictures) {
    return pictures->next > 0 ? &pictures->held[pictures->next - 1].lease : NULL;
}

const AVFrame *pictures_frame_on_screen(struct pictures *pictures) {
    if (pictures->next == 0) {
        return NULL;
    }
    struct held_picture *const held = &pictures->held[pictures->next - 1];
    struct shmframe_lease lease = held->lease;
    if (!held->frame && shmframe_avframe_from_lease(&lease, &held->frame)) {
        return NULL;
    }
    return held->frame;
}

bool pictures_are_waiting(const struct pictures *pictures) {
    return pictures->held_count > pictures->next;
}

void pictures_set_paused(struct pictures *pictures, bool is_paused) {
    pictures->is_paused = is_paused;
    pictures->steps = 0;
    if (is_paused || is_waited_for(pictures)) {
        return;
    }
    while (pictures_are_waiting(pictures)) {
        drop(pictures, pictures->next);
        pictures->passed++;
    }
}

/* ---- When ---- */

static int64_t interval_ns(const struct pictures *pictures) {
    return pictures->interval_ns > 0 ? pictures->interval_ns : interval_guess_ns;
}

/* When it was captured, as far as a writer's word can be taken: not later than it came. */
static int64_t captured_ns(const struct shmframe_lease *lease) {
    const int64_t capture_ns = lease->frame.capture_ns;
    return capture_ns < 0 ? 0 : capture_ns < lease->acquire_ns ? capture_ns : lease->acquire_ns;
}

/* How long pictures can be held; 0: not at all. The one on the screen is held besides. */
static int64_t delay_max_ns(const struct pictures *pictures) {
    const struct shmframe_reader_params *const params = &pictures->source.params;
    const uint32_t held = params->depth + params->leases - 1;
    return params->policy == SHMFRAME_LATEST || held <= DEPTH_SPARE
               ? 0
               : (held - DEPTH_SPARE) * interval_ns(pictures);
}

/* How long after its capture sound is heard; 0: pictures need not care. */
static int64_t sound_delay(struct pictures *pictures, bool *out_is_measured) {
    int64_t sound_ns = 0;
    *out_is_measured = false;
    const bool is_held_for = delay_max_ns(pictures) > 0 && pictures->listener &&
                             listener_delay_ns(pictures->listener, &sound_ns, out_is_measured);
    return is_held_for ? sound_ns : 0;
}

/* By how much pictures are meant to be later than their sound. */
static int64_t offset_ns(const struct pictures *pictures) {
    return pictures->later_ns - pictures->sound_later_ns;
}

/* How long after its capture a picture is meant to be shown; 0 and less: at once. */
static int64_t wished_ns(struct pictures *pictures, bool *out_is_measured) {
    const int64_t sound_ns = sound_delay(pictures, out_is_measured);
    return sound_ns > 0 ? sound_ns + offset_ns(pictures) : pictures->later_ns;
}

/* The same, as far as they can be held. */
static int64_t delay_ns(struct pictures *pictures) {
    bool is_measured;
    const int64_t delay = wished_ns(pictures, &is_measured);
    const int64_t delay_max = delay_max_ns(pictures);
    return delay < delay_max || is_waited_for(pictures) ? delay : delay_max;
}

uint32_t pictures_wanted_depth(struct pictures *pictures, int64_t now_ns) {
    bool is_measured;
    if (!pictures->source.reader || pictures->sequence == 0 || pictures->is_paused) {
        return 0;
    }
    const int64_t delay = wished_ns(pictures, &is_measured);
    if (!(is_measured || pictures->later_ns > 0) || delay <= delay_max_ns(pictures) ||
        is_waited_for(pictures)) {
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
    return (uint32_t)(delay / interval_ns(pictures)) + 2 * DEPTH_SPARE;
}

static int64_t due_ns(const struct pictures *pictures, const struct held_picture *held,
                      int64_t delay) {
    return delay > 0 ? captured_ns(&held->lease) + delay - pictures->cost_ns : 0;
}

int64_t pictures_due_ns(struct pictures *pictures) {
    if (pictures->is_brought || (pictures->steps > 0 && pictures_are_waiting(pictures))) {
        return 0;
    }
    if (pictures->is_paused || !pictures_are_waiting(pictures)) {
        return INT64_MAX;
    }
    return due_ns(pictures, &pictures->held[pictures->next], delay_ns(pictures));
}

void pictures_judge_lateness(struct pictures *pictures, int64_t now_ns) {
    if (!pictures->listener || now_ns < pictures->judge_next_ns) {
        return;
    }
    pictures->judge_next_ns = now_ns + judge_ns;
    const struct meter_summary skew = meter_summarize(&pictures->skew, now_ns, 2 * judge_ns);
    const int64_t late_ns = skew.count > 0 ? skew.p50_ns - offset_ns(pictures) : 0;
    const bool is_late = delay_max_ns(pictures) > 0 && late_ns > 0;
    listener_set_lateness(pictures->listener, is_late ? late_ns : 0,
                          delay_max_ns(pictures) - offset_ns(pictures));
}

/* ---- Taking ---- */

/* How many may be held for good: while paused, one lease stays free for what is passed over. */
static uint32_t held_max(const struct pictures *pictures) {
    const uint32_t leases = pictures->source.params.leases;
    return pictures->is_paused && !is_waited_for(pictures) ? leases - 1 : leases;
}

/* Whether what is wanted next has yet to come. */
static bool is_step_due(const struct pictures *pictures) {
    return pictures->is_paused && pictures->steps > 0 && !pictures_are_waiting(pictures);
}

bool pictures_has_room(const struct pictures *pictures) {
    return pictures->held_count < held_max(pictures) || is_step_due(pictures) ||
           (pictures->is_paused && pictures->held_count < pictures->source.params.leases);
}

/* A step from the last picture that is held: the first one goes. */
static bool make_room(struct pictures *pictures) {
    if (pictures->held_count < held_max(pictures)) {
        return true;
    }
    if (!is_step_due(pictures)) {
        return false;
    }
    if (pictures->held_count > 0) {
        drop(pictures, 0);
    }
    return true;
}

/* A single lease is not for what has been shown. */
static void give_back_single(struct pictures *pictures) {
    while (pictures->source.params.leases == 1 && pictures->next > 0) {
        drop(pictures, 0);
    }
}

/* More may have been waiting when the pause began. */
static void pass_over_last(struct pictures *pictures) {
    while (pictures->held_count > held_max(pictures) && pictures_are_waiting(pictures)) {
        drop(pictures, pictures->held_count - 1);
        pictures->passed++;
    }
}

static void note_taken(struct pictures *pictures, const struct shmframe_lease *lease) {
    const uint64_t wanted = pictures->taken + 1 + lease->lost + lease->skipped;
    if (pictures->taken > 0 && lease->frame.sequence > wanted) {
        pictures->missed += lease->frame.sequence - wanted;
    }
    pictures->taken = lease->frame.sequence;
    const int64_t ahead_ns = lease->frame.capture_ns - captured_ns(lease);
    if (ahead_ns > ahead_max_ns) {
        pictures->ahead_ns = ahead_ns;
    }
    meter_add(&pictures->age, lease->acquire_ns, lease->acquire_ns - captured_ns(lease));
}

/* Takes all there is and may be held; while paused, all there is. */
void pictures_take(struct pictures *pictures) {
    give_back_single(pictures);
    pass_over_last(pictures);
    while (source_is_flowing(&pictures->source)) {
        const bool is_passed = !make_room(pictures);
        if (is_passed &&
            (!pictures->is_paused || pictures->held_count >= pictures->source.params.leases)) {
            return;
        }
        struct held_picture *const held = &pictures->held[pictures->held_count];
        *held = (struct held_picture){0};
        if (!source_take(&pictures->source, &held->lease)) {
            return;
        }
        const struct shmframe_lease *const lease = &held->lease;
        note_taken(pictures, lease);
        if (is_passed) {
            shmframe_reader_release(pictures->source.reader, &held->lease);
            pictures->passed++;
        } else {
            pictures->held_count++;
        }
    }
}

/* ---- Showing ---- */

int64_t pictures_interval_ns(const struct shmframe_lease *lease) {
    const struct shmframe_rational rate = lease->format->video.frame_rate;
    return rate.num > 0 && rate.den > 0 ? SECOND_NS * rate.den / rate.num : interval_guess_ns;
}

static void set_title(struct pictures *pictures, const struct shmframe_format *format) {
    char description[128];
    shmframe_format_describe(format, description, sizeof description);
    snprintf(pictures->title, sizeof pictures->title, "%s  %s", pictures->source.stream,
             description);
}

static int begin_format(struct pictures *pictures, const struct shmframe_format *format) {
    const int error = canvas_set_format(pictures->canvas, format);
    const char *const remark = error ? NULL : canvas_remark(pictures->canvas);
    if (remark && strcmp(remark, pictures->remark) != 0) {
        snprintf(pictures->remark, sizeof pictures->remark, "%s", remark);
        program_warn("stream %s: %s", pictures->source.stream, remark);
    }
    return error;
}

static void measure_skew(struct pictures *pictures, const struct shmframe_lease *lease,
                         int64_t present_ns) {
    int64_t sound_ns;
    bool is_measured;
    if (!pictures->listener || !listener_delay_ns(pictures->listener, &sound_ns, &is_measured) ||
        !is_measured) {
        return;
    }
    const int64_t skew_ns = present_ns - captured_ns(lease) - sound_ns;
    meter_add(&pictures->skew, present_ns, skew_ns);
    shmframe_histogram_add(&pictures->skew_sizes, skew_ns < 0 ? -skew_ns : skew_ns);
}

static int upload(struct pictures *pictures, const struct shmframe_lease *lease) {
    const struct shmframe_format *const before = canvas_format(pictures->canvas);
    const bool is_new = !before || !shmframe_format_is_equal(before, lease->format);
    const int error = is_new ? begin_format(pictures, lease->format) : 0;
    return error ? error : canvas_upload(pictures->canvas, lease);
}

/* Brings what is on lease at next - 1. What cannot be shown is the end of it: the source's trouble.
 */
static void bring(struct pictures *pictures) {
    const struct shmframe_lease *const lease = &pictures->held[pictures->next - 1].lease;
    pictures->brought_ns = shmframe_now_ns();
    pictures->interval_ns = pictures_interval_ns(lease);
    if (pictures->interval_ns < interval_min_ns) {
        pictures->interval_ns = interval_min_ns;
    }
    set_title(pictures, lease->format);
    if (pictures->canvas && upload(pictures, lease)) {
        snprintf(pictures->source.trouble, sizeof pictures->source.trouble, "%s",
                 canvas_trouble(pictures->canvas));
        drop_all(pictures);
        return;
    }
    pictures->sequence = lease->frame.sequence;
    pictures->is_brought = true;
}

void pictures_advance(struct pictures *pictures) {
    pictures->steps -= pictures->steps > 0;
    pictures->next++;
    bring(pictures);
}

void pictures_skip(struct pictures *pictures) {
    pictures->unshown++;
    drop(pictures, pictures->next);
}

const struct shmframe_lease *pictures_peek(const struct pictures *pictures) {
    const bool is_wanted = !pictures->is_paused || pictures->steps > 0;
    return is_wanted && pictures_are_waiting(pictures) ? &pictures->held[pictures->next].lease
                                                       : NULL;
}

/* Judges the picture that is next. False: it waits for its moment. */
static bool judge_next(struct pictures *pictures) {
    const struct held_picture *const held = &pictures->held[pictures->next];
    const int64_t delay = delay_ns(pictures);
    /* Without sound nothing is overdue, nor if the writer waits: each picture that was taken is
     * shown. */
    const bool may_drop = delay > 0 && !is_waited_for(pictures);
    const int64_t second_due_ns = pictures->held_count - pictures->next > 1 && may_drop
                                      ? due_ns(pictures, held + 1, delay)
                                      : INT64_MAX;
    switch (sync_picture_judge(due_ns(pictures, held, delay), second_due_ns, shmframe_now_ns())) {
    case SYNC_WAIT:
        return false;
    case SYNC_DROP:
        pictures_skip(pictures);
        break;
    case SYNC_SHOW:
        pictures_advance(pictures);
        break;
    }
    return true;
}

bool pictures_bring(struct pictures *pictures) {
    while (!pictures->is_brought) {
        pictures_take(pictures);
        if (!pictures_peek(pictures)) {
            break;
        }
        if (pictures->is_paused) {
            pictures_advance(pictures);
        } else if (!judge_next(pictures)) {
            break;
        }
    }
    return pictures->is_brought;
}

void pictures_step(struct pictures *pictures, bool is_back) {
    if (!is_back) {
        const uint32_t waiting = pictures->held_count - pictures->next;
        pictures->steps += pictures->steps <= waiting;
    } else if (pictures->steps > 0) {
        pictures->steps--;
    } else if (pictures->next > 1) {
        pictures->next--;
        bring(pictures);
    }
}

void pictures_renew(struct pictures *pictures) {
    if (pictures->next > 0) {
        bring(pictures);
    }
}

void pictures_presented(struct pictures *pictures, int64_t present_ns) {
    if (!pictures->is_brought) {
        return;
    }
    pictures->is_brought = false;
    struct held_picture *const held = &pictures->held[pictures->next - 1];
    if (!held->was_shown) {
        held->was_shown = true;
        const struct shmframe_lease *const lease = &held->lease;
        /* Of a step, how long it took is the user's doing. */
        if (!pictures->is_paused) {
            shmframe_reader_present(pictures->source.reader, lease, present_ns);
            pictures->cost_ns =
                sync_cost_update_ns(pictures->cost_ns, present_ns - pictures->brought_ns);
            meter_add(&pictures->display, present_ns, present_ns - captured_ns(lease));
            measure_skew(pictures, lease, present_ns);
        }
        pictures->shown++;
        pictures->converted += pictures->canvas && canvas_is_converted(pictures->canvas);
    }
    while (!pictures->is_paused && pictures->next > 1) {
        drop(pictures, 0);
    }
    give_back_single(pictures);
}
