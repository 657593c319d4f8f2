#include "pipe_run.h"

#include "consumer.h"
#include "progress.h"
#include "wav.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/intreadwrite.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define SECOND_NS   INT64_C(1000000000)
#define LOOK_NS     (SECOND_NS / 20) /* between two looks for a FIFO's readers, coming or going */
#define PROGRESS_NS (SECOND_NS / 2)
#define GATHER_NS   (SECOND_NS / 10) /* fewer frames than the depth has place for */
/* A message that was begun is ended for a reader that takes something within this time; within the
 * shorter one when the program was asked to stop. */
#define LAST_NS         (10 * SECOND_NS)
#define LAST_STOPPED_NS SECOND_NS

static void end(struct pipe_run *run, const char *reason, bool has_failed) {
    run->reason = run->reason ? run->reason : reason;
    run->has_failed = run->has_failed || has_failed;
}

/* The outlet. */

/* A pipe holds as much as it can, unless only what is new counts. */
static uint64_t find_pipe_bytes(const struct pipe_run *run) {
    if (run->lane[0].source->params.policy != SHMFRAME_LATEST)
        return UINT32_MAX;
    return run->lane[0].first.slot_bytes;
}

int pipe_run_open_outlet(struct pipe_run *run) {
    const int result = pipe_outlet_open(&run->outlet, run->path, run->is_fifo);
    if (result == 0) {
        run->readers++;
    } else if (result != -ENXIO && result != -EPIPE) {
        errno = -result;
        if (run->readers == 0)
            program_fail("%s cannot be written: %m%s", run->path,
                         result == -ENOENT && !run->is_fifo ? " (make its directory first)" : "");
        program_warn("%s is no FIFO any more, nobody can read it: %m", run->path);
        end(run, "failure", true);
    }
    return result;
}

/* Sending. */

static bool is_by_pts(const struct pipe_run *run) {
    for (uint32_t i = 0; i < run->lanes; i++)
        if (run->lane[i].source->params.policy != SHMFRAME_LOSSLESS)
            return false;
    return true;
}

static void show_progress(struct pipe_run *run, int64_t now_ns) {
    if (!progress_is_shown() || now_ns - run->progress_ns < PROGRESS_NS)
        return;
    run->progress_ns = now_ns;
    const double seconds = (double)(now_ns - run->start_ns) / 1e9;
    const struct pipe_lane *lane = &run->lane[0];
    const struct shmframe_reader_counters counters = source_counters(lane->source);
    progress_update("%s: %" PRIu64 " frames, %.1f MB in %.1f s, %" PRIu64 " lost, %" PRIu64
                    " skipped, %.0f %% of the time full",
                    lane->source->stream, lane->frames,
                    (double)(run->bytes + run->outlet.sent) / 1e6, seconds,
                    counters.lost_late + counters.lost_restart, counters.skipped,
                    100 * (double)run->full_ns / 1e9 / (seconds > 0 ? seconds : 1));
}

static void close_outlet(struct pipe_run *run) {
    run->bytes += run->outlet.fd >= 0 ? run->outlet.sent : 0;
    pipe_outlet_close(&run->outlet);
}

/* The reader went away: for good, or until the next one. */
static void lose_reader(struct pipe_run *run) {
    pipe_message_clear(&run->message);
    close_outlet(run);
    run->is_begun = false;
    for (uint32_t i = 0; i < run->lanes; i++)
        run->lane[i].has_sound = false;
    if (run->is_staying)
        program_warn("%s: its reader is gone; waiting for the next one", run->path);
    else
        end(run, "reader", false);
}

/* Waits until the pipe takes more, or something else is due. */
static void wait_for_room(struct pipe_run *run, int64_t deadline_ns) {
    struct pollfd polls[] = {
        {.fd = run->outlet.fd, .events = POLLOUT},
        {.fd = shmframe_session_fd(run->sources.session), .events = POLLIN},
        {.fd = program_is_stopping() ? -1 : program_stop_fd(), .events = POLLIN},
    };
    const int64_t before_ns = shmframe_now_ns();
    const int64_t left_ns = deadline_ns > before_ns ? deadline_ns - before_ns : 0;
    const struct timespec timeout = {left_ns / SECOND_NS, left_ns % SECOND_NS};
    ppoll(polls, 3, &timeout, NULL);
    if (polls[1].revents)
        shmframe_session_dispatch(run->sources.session);
    const int64_t now_ns = shmframe_now_ns();
    run->full_ns += now_ns - before_ns;
    /* Nobody was late meanwhile: nobody looked. */
    for (uint32_t i = 0; i < run->sources.count; i++)
        run->sources.frame_ns[i] = now_ns;
}

/* Sends what there is of the message. Returns 0 once it is sent, -EAGAIN; other errors end it. */
static int push(struct pipe_run *run) {
    const int result = pipe_outlet_push(&run->outlet, &run->message);
    if (result == 0) {
        pipe_message_clear(&run->message);
    } else if (result == -EPIPE || result == -ECONNRESET) {
        lose_reader(run);
    } else if (result != -EAGAIN) {
        errno = -result;
        program_warn("%s cannot be written any more: %m", run->path);
        pipe_outlet_cut(&run->outlet);
        pipe_message_clear(&run->message);
        end(run, "failure", true);
    }
    return result;
}

static void send(struct pipe_run *run) {
    if (push(run) != -EAGAIN)
        return;
    const int64_t look_ns = shmframe_deadline_ns(LOOK_NS);
    wait_for_room(run, look_ns < run->end_ns ? look_ns : run->end_ns);
    if (program_is_stopping())
        end(run, "signal", false);
    if (shmframe_now_ns() >= run->end_ns)
        end(run, "duration", false);
}

/* What was begun is ended, if the reader goes on taking. */
static void send_last(struct pipe_run *run, const char *what) {
    int64_t taken_ns = shmframe_now_ns();
    while (run->outlet.fd >= 0 && run->message.parts) {
        const uint64_t before = run->outlet.sent;
        if (push(run) != -EAGAIN)
            return;
        const int64_t now_ns = shmframe_now_ns();
        if (run->outlet.sent > before)
            taken_ns = now_ns;
        const int64_t last_ns = taken_ns + (program_is_stopping() ? LAST_STOPPED_NS : LAST_NS);
        if (now_ns < last_ns) {
            wait_for_room(run, last_ns);
            continue;
        }
        pipe_outlet_cut(&run->outlet);
        pipe_message_clear(&run->message);
        program_warn("%s: its reader takes nothing: %s is cut off", run->path, what);
        close_outlet(run);
    }
}

/* Frames. */

static void begin(struct pipe_run *run) {
    pipe_outlet_resize(&run->outlet, find_pipe_bytes(run));
    const int result =
        pipe_container_begin(&run->container, is_by_pts(run), run->outlet.is_file, &run->message);
    if (result < 0)
        program_fail("%s cannot carry this: %s", pipe_container_name(run->container.kind),
                     strerror(-result));
    if (pipe_outlet_empty(&run->outlet) < 0)
        program_fail("%s cannot be written: %m", run->path);
    run->is_begun = true;
    run->gather_ns = shmframe_deadline_ns(GATHER_NS);
}

/* The frame that was captured first, of those that are there. */
static struct pipe_lane *find_first(struct pipe_run *run) {
    struct pipe_lane *first = NULL;
    for (uint32_t i = 0; i < run->lanes; i++) {
        struct pipe_lane *lane = &run->lane[i];
        if (lane->lease.data &&
            (!first || lane->lease.frame.capture_ns < first->lease.frame.capture_ns))
            first = lane;
    }
    return first;
}

/* Whether a stream's first frame is worth waiting for, so that the times begin with the earliest.
 */
static bool is_gathering(const struct pipe_run *run) {
    if (run->container.clock.is_begun || run->lanes < 2 || shmframe_now_ns() >= run->gather_ns)
        return false;
    for (uint32_t i = 0; i < run->lanes; i++)
        if (!run->lane[i].lease.data && source_is_flowing(run->lane[i].source))
            return true;
    return false;
}

static void write_frame(struct pipe_run *run, struct pipe_lane *lane) {
    if (!run->is_adapting && pipe_lane_is_changed(lane, run->container.kind)) {
        char text[128];
        shmframe_format_describe(lane->lease.format, text, sizeof(text));
        program_warn("%s changed to %s, which %s cannot: --on-change convert goes on",
                     lane->source->stream, text, pipe_container_name(run->container.kind));
        pipe_lane_drop(lane);
        end(run, "format", true);
        return;
    }
    pipe_clock_begin(&run->container.clock, &lane->lease);
    const int result = pipe_lane_write(lane, &run->container, &run->message);
    if (result < 0) {
        program_warn("%s cannot be written any more: %s", lane->source->stream, strerror(-result));
        pipe_message_clear(&run->message);
        end(run, "failure", true);
    }
}

/* Takes what there is, and makes the next message. */
static void take_frames(struct pipe_run *run) {
    bool is_waiting = false;
    for (uint32_t i = 0; i < run->lanes; i++)
        if (source_is_flowing(run->lane[i].source))
            is_waiting = !pipe_lane_take(&run->lane[i]) || is_waiting;
    if (is_waiting && is_gathering(run))
        return;
    struct pipe_lane *lane = find_first(run);
    if (lane)
        write_frame(run, lane);
}

static bool has_frames(const struct pipe_run *run) {
    for (uint32_t i = 0; i < run->lanes; i++)
        if (run->lane[i].lease.data)
            return true;
    return false;
}

/* Waits for frames. */
static void wait_for_frames(struct pipe_run *run) {
    uint64_t ready;
    const int64_t look_ns = shmframe_deadline_ns(LOOK_NS);
    const int64_t until_ns = look_ns < run->end_ns ? look_ns : run->end_ns;
    /* Of some the next frame is here already, while others are waited for. */
    run->sources.paused = 0;
    for (uint32_t i = 0; i < run->lanes; i++)
        if (run->lane[i].lease.data)
            run->sources.paused |= UINT64_C(1) << (run->lane[i].source - run->sources.source);
    switch (sources_wait(&run->sources, until_ns, &ready)) {
    case SOURCES_READY:
    case SOURCES_ASKED:
        break;
    case SOURCES_DUE:
        if (run->outlet.fd >= 0 && pipe_outlet_is_left(&run->outlet))
            lose_reader(run);
        break;
    case SOURCES_OVER:
        if (!has_frames(run))
            end(run, "end of stream", sources_have_failed(&run->sources));
        break;
    case SOURCES_LATE:
        end(run, "deadline", true);
        break;
    case SOURCES_STOP:
        end(run, "signal", false);
        break;
    }
    if (shmframe_now_ns() >= run->end_ns)
        end(run, "duration", false);
}

/* Whether nothing comes any more, and nothing is left for a reader. The next frames are held: only
 * a reader that has taken all hears of the end. */
static bool is_over(struct pipe_run *run) {
    bool is_flowing = false;
    for (uint32_t i = 0; i < run->lanes; i++)
        if (source_is_flowing(run->lane[i].source))
            is_flowing = pipe_lane_take(&run->lane[i]) || source_is_flowing(run->lane[i].source) ||
                         is_flowing;
    return !is_flowing && !has_frames(run);
}

/* While nobody reads the FIFO: files wait, live streams go on without it. */
static void look_for_reader(struct pipe_run *run) {
    const bool is_waiting = is_by_pts(run);
    for (uint32_t i = 0; i < run->lanes && !is_waiting; i++) {
        struct pipe_lane *lane = &run->lane[i];
        while (pipe_lane_take(lane)) {
            pipe_lane_drop(lane);
            lane->unread++;
        }
    }
    if (pipe_run_open_outlet(run) == 0 || run->reason)
        return;
    progress_update("waiting for a reader of %s", run->path);
    if (is_waiting && is_over(run)) {
        end(run, "end of stream", sources_have_failed(&run->sources));
        return;
    }
    if (!is_waiting) {
        wait_for_frames(run);
        return;
    }
    struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
    poll(&stop, 1, LOOK_NS / 1000000);
    shmframe_session_dispatch(run->sources.session);
    for (uint32_t i = 0; i < run->sources.count; i++)
        run->sources.frame_ns[i] = shmframe_now_ns();
    if (program_is_stopping())
        end(run, "signal", false);
    if (shmframe_now_ns() >= run->end_ns)
        end(run, "duration", false);
}

static void run_once(struct pipe_run *run) {
    show_progress(run, shmframe_now_ns());
    if (run->outlet.fd < 0) {
        look_for_reader(run);
    } else if (run->message.parts) {
        send(run);
    } else if (!run->is_begun) {
        begin(run);
    } else if (consumer_has_enough(run->lane[0].frames)) {
        end(run, "frames", false);
    } else {
        take_frames(run);
        if (!run->message.parts && !run->reason)
            wait_for_frames(run);
    }
}

/* The end. */

/* What only the end of a file tells; sizes that do not fit stay open. */
static void patch_wav(struct pipe_run *run) {
    const uint64_t header = run->container.header_bytes, whole = run->outlet.whole;
    if (run->container.kind != PIPE_WAV || !run->outlet.is_file || whole > UINT32_MAX ||
        whole < header)
        return;
    uint8_t size[4];
    AV_WL32(size, (uint32_t)(whole - 8));
    pipe_outlet_patch(&run->outlet, WAV_RIFF_SIZE_AT, size, sizeof(size));
    AV_WL32(size, (uint32_t)(whole - header));
    pipe_outlet_patch(&run->outlet, header - sizeof(size), size, sizeof(size));
}

int pipe_run(struct pipe_run *run) {
    while (!run->reason)
        run_once(run);
    /* What interrupted the loop is not to interrupt its end. */
    shmframe_session_resume(run->sources.session);
    send_last(run, "the last frame");
    if (run->outlet.fd >= 0 && run->is_begun) {
        if (pipe_container_end(&run->container, &run->message) == 0)
            send_last(run, "what ends the file");
        patch_wav(run);
    }
    close_outlet(run);
    return run->has_failed ? EXIT_FAILED : EXIT_DONE;
}

void pipe_run_close(struct pipe_run *run) {
    pipe_nut_destroy(run->container.nut);
    pipe_message_finish(&run->message);
    for (uint32_t i = 0; i < run->lanes; i++)
        pipe_lane_close(&run->lane[i]);
    sources_close(&run->sources);
    pipe_outlet_close(&run->outlet);
}
