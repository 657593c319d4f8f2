#include "lane.h"

#include "delay_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS  INT64_C(1000000000)
#define RING_BYTES (UINT64_C(1) << 30) /* the library's default */

/* Slots that are not for frames under way: the readers' and the history. */
enum { OTHER_SLOTS = 24, LOANS_MIN = 2 };

/* ---- life ---- */

/* 0: it has none. */
static int64_t find_period_ns(const struct shmframe_format *format) {
    const struct shmframe_rational rate = format->video.frame_rate;
    if (format->kind == SHMFRAME_AUDIO)
        return SECOND_NS * format->audio.samples_max / format->audio.sample_rate;
    return format->kind == SHMFRAME_VIDEO && rate.num > 0 ? SECOND_NS * rate.den / rate.num : 0;
}

/* Beyond what the schedule holds, one is copied; and those that came at once, after a moment in
 * which source or filter stood still, leave at once, too. A stream without a rate gets as much room
 * as a ring has by default. */
static uint32_t count_loans(const struct shmframe_format *format,
                            const struct schedule_params *schedule) {
    const int64_t period_ns = find_period_ns(format);
    double wanted = (double)RING_BYTES / (double)format->slot_bytes - OTHER_SLOTS;
    if (period_ns > 0) {
        const double held = schedule_count_held(schedule, period_ns);
        wanted = held + (held > 0 ? LANE_INPUT_DEPTH : 0) + 1;
    }
    if (wanted >= HELD_MAX)
        return HELD_MAX;
    return wanted < LOANS_MIN ? LOANS_MIN : (uint32_t)wanted;
}

/* Address space for large frames; 0: the default has it. */
static uint64_t count_ring_bytes(const struct lane *lane, const struct shmframe_format *format) {
    enum { PAGE_BYTES = 4096 };
    const uint64_t bytes = (format->slot_bytes + 2 * PAGE_BYTES) * (lane->loans + OTHER_SLOTS);
    return bytes > RING_BYTES ? bytes : 0;
}

bool lane_open(struct lane *lane, struct shmframe_session *session, struct source *source,
               const char *name, const struct lane_params *params) {
    *lane = (struct lane){
        .source = source,
        .pause = params->pause,
        .is_live = source->params.policy != SHMFRAME_LOSSLESS,
    };
    snprintf(lane->name, sizeof(lane->name), "%s", name);
    schedule_init(&lane->schedule, &params->schedule);
    const struct shmframe_format *format = shmframe_reader_format(source->reader);
    lane->loans = params->held_max ? params->held_max : count_loans(format, &params->schedule);
    const struct shmframe_writer_params writer_params = {
        .stream = lane->name,
        .group = params->group,
        .format = *format,
        .flags = SHMFRAME_WRITER_TELLS_DROPS | (lane->is_live ? SHMFRAME_WRITER_LIVE : 0),
        .loans = lane->loans,
        .ring_bytes = count_ring_bytes(lane, format),
        .allow = params->allow,
    };
    const int result = shmframe_writer_open(session, &writer_params, &lane->writer);
    if (result == -EINTR && program_is_stopping())
        return false;
    if (result < 0)
        program_fail_call(lane->name);
    /* What its readers make wait comes when it comes. */
    shmframe_writer_set_paced(lane->writer, lane->is_live);
    return true;
}

void lane_close(struct lane *lane) {
    if (lane->writer && shmframe_writer_end(lane->writer) < 0)
        program_warn("%s: %s", lane->name, shmframe_last_error());
    shmframe_writer_close(lane->writer);
    lane->writer = NULL;
}

/* ---- in ---- */

/* The output follows the format of the input. Frames of the format before are published meanwhile.
 */
static int follow_format(struct lane *lane, const struct shmframe_lease *lease) {
    if (shmframe_format_is_equal(shmframe_writer_format(lane->writer), lease->format))
        return 0;
    return shmframe_writer_set_format(lane->writer, lease->format,
                                      shmframe_deadline_ns(10 * SECOND_NS));
}

static void fill(struct lane *lane, struct held_frame *frame, const struct shmframe_lease *lease) {
    struct shmframe_loan *loan = &frame->loan;
    shmframe_loan_carry(loan, lease); /* capture time and origin stay those of the source */
    loan->frame.bytes = lease->frame.bytes;
    loan->frame.samples = lease->frame.samples;
    loan->frame.stage_ns[0] = lease->acquire_ns;
    loan->frame.flags |= SHMFRAME_HAS_STAGES;
    if (lease->flags & SHMFRAME_LEASE_RESTARTED)
        loan->frame.flags |= SHMFRAME_DISCONTINUITY;
    strips_copy(loan, lease, &lane->pause);
}

/* What is missing before the frame: what its source left out, and what this program did. The second
 * of a repeated one has nothing missing before it. */
static void tell_missing(struct lane *lane, struct held_frame *frame) {
    if (frame->is_again) {
        frame->loan.frame.device_dropped = 0;
        return;
    }
    frame->loan.frame.device_dropped += lane->untold;
    frame->loan.own_dropped = lane->untold_own;
    if (lane->untold)
        frame->loan.frame.flags |= SHMFRAME_DISCONTINUITY;
    lane->untold = lane->untold_own = 0;
}

/* Copies the frame into a slot of its own. Errors: as shmframe_writer_loan(). */
static int copy(struct lane *lane, int64_t deadline_ns) {
    const struct shmframe_lease *lease = &lane->stuck;
    struct held_frame frame = {
        .sequence = lease->frame.sequence,
        .acquire_ns = lease->acquire_ns,
        .due_ns = lane->stuck_turn.due_ns,
        .took_ns = lane->took_ns,
        .action = lane->stuck_turn.action,
        .is_again = lane->copies > 0,
    };
    if (lane->held.count + lane->copies >= lane->loans)
        return -EBUSY;
    /* A deadline that has passed is no SHMFRAME_NOW: then the frame would count as left out. */
    const int64_t now_ns = shmframe_now_ns();
    const int64_t until_ns = deadline_ns > now_ns ? deadline_ns : now_ns;
    const int result =
        shmframe_writer_loan(lane->writer, lane->is_live ? SHMFRAME_NOW : until_ns, &frame.loan);
    if (result < 0)
        return result;
    fill(lane, &frame, lease);
    lane->copy[lane->copies++] = frame;
    return 0;
}

static struct held_frame describe_stuck(const struct lane *lane) {
    return (struct held_frame){
        .loan.frame = lane->stuck.frame,
        .sequence = lane->stuck.frame.sequence,
        .acquire_ns = lane->stuck.acquire_ns,
    };
}

static void leave_out(struct lane *lane, const char *action) {
    const struct held_frame frame = describe_stuck(lane);
    lane->untold += frame.loan.frame.device_dropped + 1;
    lane->untold_own++;
    delay_log_missing(lane->name, action, &frame);
}

/* The second of a repeated one is missed by nobody: it is counted, and not told. */
static void refuse(struct lane *lane, int result) {
    if (lane->refused++ == 0 && result == -EBUSY)
        program_warn("%s: a frame is dropped: %u are held already; %s", lane->name,
                     lane->held.count,
                     lane->loans < HELD_MAX
                         ? "--held makes room for more"
                         : "no more can be: take a shorter delay, or fewer frames a second");
    else if (lane->refused == 1)
        program_warn("%s: a frame is dropped, no slot: %s", lane->name,
                     result == -EAGAIN ? "a lossless reader is behind" : shmframe_last_error());
    if (lane->copies == 0)
        leave_out(lane, "refused");
}

/* Whether the frame can wait for room: where its source waits for us. */
static bool may_wait(const struct lane *lane, int result) {
    return !lane->is_live &&
           (result == -EBUSY || result == -ENOSPC || result == -ETIMEDOUT || result == -EINTR);
}

/* Copies the frame, twice if it is repeated. False: it is to wait for room. */
static bool copy_all(struct lane *lane, int64_t deadline_ns) {
    const uint32_t wanted = lane->stuck_turn.action == SCHEDULE_REPEAT ? 2 : 1;
    while (lane->copies < wanted) {
        const int result = copy(lane, deadline_ns);
        if (may_wait(lane, result))
            return false;
        if (result < 0 && result != -EBUSY && result != -ENOSPC && result != -EAGAIN &&
            result != -ENOMEM)
            program_fail_call(lane->name);
        if (result < 0) {
            refuse(lane, result);
            return true;
        }
    }
    return true;
}

/* Copies what is to be sent on. False: the frame is to wait for room. */
static bool place(struct lane *lane, int64_t deadline_ns) {
    if (lane->is_paused) {
        lane->paused++;
        leave_out(lane, "paused");
        return true;
    }
    if (lane->stuck_turn.action == SCHEDULE_DROP) {
        lane->dropped++;
        leave_out(lane, "drop");
        return true;
    }
    const int result = follow_format(lane, &lane->stuck);
    if (result < 0 && result != -EINTR)
        program_fail_call(lane->name);
    return result == 0 && copy_all(lane, deadline_ns);
}

static void abandon_copies(struct lane *lane) {
    for (uint32_t i = 0; i < lane->copies; i++)
        shmframe_writer_abandon(lane->writer, &lane->copy[i].loan);
    lane->copies = 0;
}

/* Only the end of the lease tells whether the frame was whole until then: what was copied is held
 * from here on, and not before. */
static void settle_copies(struct lane *lane) {
    const bool was_copied = lane->copies > 0;
    const int result = shmframe_reader_release(lane->source->reader, &lane->stuck);
    if (result == -ESTALE && was_copied) {
        if (lane->torn++ == 0)
            program_warn("%s: a frame was overwritten while it was copied, and is left out: %s",
                         lane->name, shmframe_last_error());
        abandon_copies(lane);
        leave_out(lane, "torn");
    }
    for (uint32_t i = 0; i < lane->copies; i++) {
        tell_missing(lane, &lane->copy[i]);
        held_add(&lane->held, &lane->copy[i]);
    }
    lane->copies = 0;
}

/* A live source went on while memory for the output was made ready, or readers were waited for. */
static void tell_lost_beginning(const struct lane *lane) {
    if (lane->taken == 1 && lane->lost)
        program_warn("%s begins later than %s: it was not ready yet for the first %" PRIu64
                     " frames that came here",
                     lane->name, lane->source->stream, lane->lost);
}

bool lane_take(struct lane *lane, int64_t deadline_ns) {
    if (!lane->is_stuck) {
        if (!source_take(lane->source, &lane->stuck))
            return false;
        lane->took_ns = shmframe_now_ns();
        lane->taken++;
        const uint64_t missed = lane->stuck.lost + lane->stuck.skipped;
        lane->lost += lane->stuck.lost;
        lane->untold += (uint32_t)missed;
        lane->untold_own += (uint32_t)missed;
        tell_lost_beginning(lane);
        /* What is left out has no place in the schedule, which moves on as a whole. */
        if (!lane->is_paused)
            lane->stuck_turn = schedule_next(&lane->schedule, lane->stuck.acquire_ns);
    }
    lane->is_stuck = !place(lane, deadline_ns);
    if (lane->is_stuck)
        return false;
    settle_copies(lane);
    return true;
}

/* ---- out ---- */

int64_t lane_due_ns(const struct lane *lane) {
    return held_due_ns(&lane->held);
}

static void count(struct lane *lane, const struct held_frame *frame) {
    const int64_t wanted_ns = frame->due_ns - frame->acquire_ns;
    const int64_t held_ns = frame->loan.frame.publish_ns - frame->acquire_ns;
    lane->published++;
    lane->repeated += frame->is_again;
    lane->swapped += frame->action == SCHEDULE_SWAP;
    lane->wanted_sum_ns += wanted_ns;
    lane->held_sum_ns += held_ns;
    shmframe_histogram_add(&lane->held_ns, held_ns);
    shmframe_histogram_add(&lane->error_ns, held_ns - wanted_ns);
}

void lane_publish_due(struct lane *lane) {
    struct held_frame frame;
    while (held_take(&lane->held, shmframe_now_ns(), &frame)) {
        /* Who joined since the loan is to get it. */
        shmframe_writer_readers(lane->writer);
        frame.gave_ns = shmframe_now_ns();
        if (shmframe_writer_publish(lane->writer, &frame.loan) < 0)
            program_fail_call(lane->name);
        count(lane, &frame);
        delay_log_published(lane->name, &frame);
    }
}

void lane_settle(struct lane *lane) {
    held_settle(&lane->held);
}

void lane_abandon(struct lane *lane) {
    if (lane->is_stuck) {
        const struct held_frame frame = describe_stuck(lane);
        delay_log_missing(lane->name, "unsent", &frame);
        abandon_copies(lane);
        shmframe_reader_release(lane->source->reader, &lane->stuck);
        lane->unsent++;
    }
    lane->is_stuck = false;
    for (uint32_t i = 0; i < lane->held.count; i++) {
        delay_log_missing(lane->name, "unsent", &lane->held.frame[i]);
        shmframe_writer_abandon(lane->writer, &lane->held.frame[i].loan);
    }
    lane->unsent += lane->held.count;
    lane->held = (struct held){0};
}

/* ---- requests ---- */

void lane_pause(struct lane *lane) {
    lane->is_paused = true;
    shmframe_writer_set_paced(lane->writer, false);
}

void lane_resume(struct lane *lane, int64_t paused_ns) {
    lane->is_paused = false;
    shmframe_writer_set_paced(lane->writer, lane->is_live);
    schedule_shift(&lane->schedule, paused_ns);
    held_shift(&lane->held, paused_ns);
}

bool lane_has_room(const struct lane *lane, int64_t delay_ns) {
    struct schedule_params wanted = lane->schedule.params;
    wanted.delay_ns = delay_ns;
    const int64_t period_ns = find_period_ns(shmframe_writer_format(lane->writer));
    return period_ns == 0 || schedule_count_held(&wanted, period_ns) + 1 <= lane->loans;
}

void lane_set_delay(struct lane *lane, int64_t delay_ns) {
    const int64_t shift_ns = delay_ns - lane->schedule.params.delay_ns;
    lane->schedule.params.delay_ns = delay_ns;
    schedule_shift(&lane->schedule, shift_ns);
    held_shift(&lane->held, shift_ns);
}
