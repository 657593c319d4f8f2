#include "demux.h"

#include "demux_input.h"
#include "program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* How far packets of one track are read ahead in search of the other's. */
#define AHEAD_NS    (3 * SECOND_NS)
#define AHEAD_BYTES ((size_t)64 << 20)

/* The decoding thread. */

static void tell_ready(const struct demux *demux) {
    const uint64_t one = 1;
    if (write(demux->ready_fd, &one, sizeof(one)) < 0) {
        /* It is full of ones already: just as readable. */
    }
}

static void note(struct demux *demux, const char *what, int av_result, int64_t position_ns) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    pthread_mutex_lock(&demux->mutex);
    if (!demux->why[0])
        snprintf(demux->why, sizeof(demux->why), "%s at %.1f s%s%s", what,
                 (double)position_ns / SECOND_NS, av_result ? ": " : "",
                 av_result ? av_make_error_string(text, sizeof(text), av_result) : "");
    pthread_mutex_unlock(&demux->mutex);
}

/* The furthest that any track was decoded to in this pass. */
static int64_t find_end_ns(const struct demux *demux) {
    int64_t end_ns = 0;
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        if (!demux->has_track[i] || demux->track[i].next_pts == AV_NOPTS_VALUE)
            continue;
        const int64_t ns = demux_position_ns(demux, i, demux->track[i].next_pts);
        end_ns = ns > end_ns ? ns : end_ns;
    }
    return end_ns;
}

/* Queues a frame, or the end of a track where `frame` is NULL. Takes it. */
static void push(struct demux *demux, int kind, AVFrame *frame) {
    struct demux_item item = {.frame = frame, .pass = demux->decoded_pass};
    struct track *track = &demux->track[kind];
    demux->is_pass_empty &= !frame;
    if (frame && track_changes_format(track, demux->input, frame)) {
        item.format = malloc(sizeof(*item.format));
        if (item.format)
            *item.format = track->format;
    }
    pthread_mutex_lock(&demux->mutex);
    const bool is_stale = demux->is_sought;
    if (!is_stale) {
        demux->is_sparse[kind] = false;
        av_fifo_write(demux->items[kind], &item, 1);
    }
    pthread_mutex_unlock(&demux->mutex);
    if (is_stale)
        demux_item_finish(&item);
    else
        tell_ready(demux);
}

static bool has_room(struct demux *demux, int kind) {
    pthread_mutex_lock(&demux->mutex);
    /* One place is kept for the mark of the end. */
    const bool has = av_fifo_can_write(demux->items[kind]) > 1;
    pthread_mutex_unlock(&demux->mutex);
    return has;
}

/* Decodes what can be decoded of a track. Returns whether it wants a packet. */
static bool advance(struct demux *demux, int kind, bool *did_work) {
    struct track *track = &demux->track[kind];
    if (!demux->has_track[kind] || track->is_ended || !has_room(demux, kind))
        return false;
    AVFrame *frame = av_frame_alloc();
    track->is_ended |= !frame;
    const enum track_step step = track_step(track, frame);
    if (step != TRACK_FRAME)
        av_frame_free(&frame);
    if (step == TRACK_FRAME || step == TRACK_ENDED)
        push(demux, kind, frame);
    *did_work |= step != TRACK_NEEDS_PACKET;
    return step == TRACK_NEEDS_PACKET;
}

static bool is_far_ahead(const struct demux *demux) {
    size_t bytes = 0;
    int64_t ahead_ns = 0;
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        if (!demux->has_track[i])
            continue;
        const int64_t ns = track_ahead_ns(&demux->track[i]);
        ahead_ns = ns > ahead_ns ? ns : ahead_ns;
        bytes += demux->track[i].packet_bytes;
    }
    return ahead_ns > AHEAD_NS || bytes > AHEAD_BYTES;
}

static void mark_complete(struct demux *demux) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        demux->track[i].is_complete = true;
}

/* Some demuxers fail at the end of a file that is whole. */
static bool is_at_end(const struct demux *demux, int result, int64_t before) {
    AVIOContext *bytes = demux->input->pb;
    return result == AVERROR(EIO) && bytes && !bytes->error && avio_feof(bytes) &&
           avio_tell(bytes) == before;
}

static void read_packet(struct demux *demux, AVPacket *packet) {
    const int64_t before = demux->input->pb ? avio_tell(demux->input->pb) : 0;
    int result = av_read_frame(demux->input, packet);
    if (is_at_end(demux, result, before))
        result = AVERROR_EOF;
    if (result == AVERROR(EAGAIN)) {
        nanosleep(&(struct timespec){.tv_nsec = SECOND_NS / 200}, NULL);
        return;
    }
    if (result < 0) {
        if (result != AVERROR_EOF && result != AVERROR_EXIT)
            note(demux, "reading ended", result, find_end_ns(demux));
        else if (result == AVERROR_EOF && demux->is_cut_off)
            note(demux, "truncated inside the last packet", 0, find_end_ns(demux));
        mark_complete(demux);
        return;
    }
    struct track *track = demux_input_find_track(demux, packet);
    demux->is_cut_off = packet->flags & AV_PKT_FLAG_CORRUPT;
    if (track && demux->is_cut_off)
        track->damaged++;
    if (track && track_add_packet(track, packet) < 0) {
        note(demux, "no memory for a packet", 0, find_end_ns(demux));
        mark_complete(demux);
    }
    av_packet_unref(packet);
}

static void restart_tracks(struct demux *demux, int64_t position_ns) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i])
            track_restart(&demux->track[i], demux->input, position_ns);
}

/* Takes a seek that was asked for, or begins the next loop. */
static void begin_pass(struct demux *demux, bool is_loop) {
    pthread_mutex_lock(&demux->mutex);
    const int64_t position_ns = demux->is_sought ? demux->seek_ns : 0;
    if (!demux->is_sought && is_loop)
        demux->pass++;
    demux->decoded_pass = demux->pass;
    demux->is_over = false;
    pthread_mutex_unlock(&demux->mutex);

    const int result = demux_input_seek(demux, position_ns);
    if (result < 0)
        note(demux, is_loop ? "it cannot be looped" : "a seek failed", result, position_ns);
    else
        restart_tracks(demux, position_ns);
    demux->is_pass_empty = true;
    demux->is_cut_off = false;

    pthread_mutex_lock(&demux->mutex);
    /* Frames of before were kept out until here; another seek may have come meanwhile. */
    demux->is_sought &= demux->pass != demux->decoded_pass;
    pthread_mutex_unlock(&demux->mutex);
    /* After a failure it goes on where it was, which may be the end. */
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i] && demux->track[i].is_ended)
            push(demux, i, NULL);
}

static void check_end(struct demux *demux) {
    const int64_t claimed_ns = demux_input_claimed_ns(demux), end_ns = find_end_ns(demux);
    const int64_t slack_ns = claimed_ns / 50 > SECOND_NS / 2 ? claimed_ns / 50 : SECOND_NS / 2;
    if (claimed_ns > 0 && end_ns < claimed_ns - slack_ns) {
        char what[64];
        snprintf(what, sizeof(what), "truncated: it claims %.1f s and ends",
                 (double)claimed_ns / SECOND_NS);
        note(demux, what, 0, end_ns);
    }
}

static bool is_all_ended(const struct demux *demux) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i] && !demux->track[i].is_ended)
            return false;
    return true;
}

static uint64_t count_changes(struct demux *demux) {
    pthread_mutex_lock(&demux->mutex);
    const uint64_t changes = demux->changes;
    pthread_mutex_unlock(&demux->mutex);
    return changes;
}

/* Sleeps until there is something to do that was not there at `changes`. `wants` are the tracks
 * that lack packets, whose next ones are far. */
static void wait_for_change(struct demux *demux, uint64_t changes, const bool wants[DEMUX_TRACKS]) {
    bool is_news = false;
    pthread_mutex_lock(&demux->mutex);
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        is_news |= wants[i] && !demux->is_sparse[i];
        demux->is_sparse[i] = wants[i];
    }
    if (is_news)
        tell_ready(demux);
    while (demux->changes == changes)
        pthread_cond_wait(&demux->change, &demux->mutex);
    pthread_mutex_unlock(&demux->mutex);
}

static void end_pass(struct demux *demux) {
    if (!demux->why[0])
        check_end(demux);
    pthread_mutex_lock(&demux->mutex);
    const bool is_loop = demux->is_looping && !demux->is_pass_empty;
    demux->is_over = !is_loop;
    tell_ready(demux);
    while (!is_loop && !demux->is_sought && !demux_is_stopping(demux))
        pthread_cond_wait(&demux->change, &demux->mutex);
    const bool is_sought = demux->is_sought;
    pthread_mutex_unlock(&demux->mutex);
    if (is_sought || is_loop)
        begin_pass(demux, !is_sought);
}

static bool is_seek_due(struct demux *demux) {
    pthread_mutex_lock(&demux->mutex);
    const bool is_due = demux->is_sought;
    pthread_mutex_unlock(&demux->mutex);
    return is_due;
}

static void *run(void *user) {
    struct demux *demux = user;
    AVPacket *packet = av_packet_alloc();
    while (packet && !demux_is_stopping(demux)) {
        if (is_seek_due(demux))
            begin_pass(demux, false);
        const uint64_t changes = count_changes(demux);
        bool wants[DEMUX_TRACKS], did_work = false;
        for (int i = 0; i < DEMUX_TRACKS; i++)
            wants[i] = advance(demux, i, &did_work);
        if (is_all_ended(demux))
            end_pass(demux);
        else if ((wants[0] || wants[1]) && !is_far_ahead(demux))
            read_packet(demux, packet);
        else if (!did_work)
            wait_for_change(demux, changes, wants);
    }
    av_packet_free(&packet);
    return NULL;
}

/* Opening, starting and stopping. */

void demux_open(struct demux *demux, const char *url, int64_t start_ns) {
    *demux = (struct demux){.url = url, .ready_fd = -1, .pass = 1};
    pthread_mutex_init(&demux->mutex, NULL);
    pthread_cond_init(&demux->change, NULL);
    demux_input_open(demux, start_ns);
    demux->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    demux->items[DEMUX_PICTURES] =
        av_fifo_alloc2(DEMUX_PICTURES_AHEAD + 1, sizeof(struct demux_item), 0);
    demux->items[DEMUX_SOUND] = av_fifo_alloc2(DEMUX_SOUND_AHEAD + 1, sizeof(struct demux_item), 0);
    if (demux->ready_fd < 0 || !demux->items[DEMUX_PICTURES] || !demux->items[DEMUX_SOUND])
        program_fail("no memory or no descriptor to play %s", url);
}

void demux_start(struct demux *demux) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i] && track_start(&demux->track[i]) < 0)
            program_fail("%s: %s: %s", demux->url, demux_kinds[i], demux->track[i].why);
    demux->decoded_pass = demux->pass;
    demux->is_pass_empty = true;
    const int result = pthread_create(&demux->thread, NULL, run, demux);
    if (result)
        program_fail("cannot start the decoding thread: %s", strerror(result));
    demux->is_running = true;
}

/* Says that there is something to do; the mutex is held. */
static void tell_change(struct demux *demux) {
    demux->changes++;
    pthread_cond_signal(&demux->change);
}

static void clear_items(struct demux *demux) {
    struct demux_item item;
    for (int i = 0; i < DEMUX_TRACKS; i++)
        while (demux->items[i] && av_fifo_read(demux->items[i], &item, 1) >= 0)
            demux_item_finish(&item);
}

void demux_stop(struct demux *demux) {
    pthread_mutex_lock(&demux->mutex);
    atomic_store_explicit(&demux->is_stopping, true, memory_order_relaxed);
    tell_change(demux);
    pthread_mutex_unlock(&demux->mutex);
    if (demux->is_running)
        pthread_join(demux->thread, NULL);
    demux->is_running = false;
    clear_items(demux);
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i])
            track_close(&demux->track[i]);
}

void demux_close(struct demux *demux) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        av_fifo_freep2(&demux->items[i]);
    avformat_close_input(&demux->input);
    close(demux->ready_fd);
    pthread_cond_destroy(&demux->change);
    pthread_mutex_destroy(&demux->mutex);
}

/* Taking frames. */

void demux_item_finish(struct demux_item *item) {
    av_frame_free(&item->frame);
    free(item->format);
    item->format = NULL;
}

/* The mutex is held. */
static enum demux_head look(struct demux *demux, int kind, uint32_t pass,
                            struct demux_item *out_item) {
    struct demux_item item;
    while (av_fifo_peek(demux->items[kind], &item, 1, 0) >= 0) {
        if (item.pass >= pass) {
            *out_item = item;
            return item.pass == pass && item.frame ? DEMUX_FRAME : DEMUX_END;
        }
        av_fifo_drain2(demux->items[kind], 1);
        demux_item_finish(&item);
        tell_change(demux);
    }
    if (demux->is_over && demux->pass <= pass)
        return DEMUX_END;
    return demux->is_sparse[kind] ? DEMUX_SPARSE : DEMUX_WAIT;
}

enum demux_head demux_peek(struct demux *demux, int kind, uint32_t pass,
                           struct demux_item *out_item) {
    if (!demux->has_track[kind])
        return DEMUX_END;
    pthread_mutex_lock(&demux->mutex);
    const enum demux_head head = look(demux, kind, pass, out_item);
    pthread_mutex_unlock(&demux->mutex);
    return head;
}

void demux_pop(struct demux *demux, int kind, struct demux_item *out_item) {
    pthread_mutex_lock(&demux->mutex);
    av_fifo_read(demux->items[kind], out_item, 1);
    tell_change(demux);
    pthread_mutex_unlock(&demux->mutex);
}

void demux_clear_ready(struct demux *demux) {
    uint64_t count;
    if (read(demux->ready_fd, &count, sizeof(count)) < 0) {
        /* Nothing had come. */
    }
}

bool demux_has_next_pass(struct demux *demux, uint32_t pass) {
    pthread_mutex_lock(&demux->mutex);
    const bool has = demux->pass > pass || (demux->is_looping && !demux->is_over);
    pthread_mutex_unlock(&demux->mutex);
    return has;
}

uint32_t demux_seek(struct demux *demux, int64_t position_ns) {
    if (!demux_can_seek(demux))
        return 0;
    pthread_mutex_lock(&demux->mutex);
    const uint32_t pass = ++demux->pass;
    demux->seek_ns = position_ns;
    demux->is_sought = true;
    demux->is_over = false;
    clear_items(demux);
    tell_change(demux);
    pthread_mutex_unlock(&demux->mutex);
    return pass;
}

bool demux_report(struct demux *demux) {
    char text[2 * TRACK_WHY_BYTES];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", demux->why);
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        const uint64_t damaged = demux->has_track[i] ? demux->track[i].damaged : 0;
        if (damaged)
            used += (size_t)snprintf(text + used, sizeof(text) - used,
                                     "%s%" PRIu64 " damaged packets or frames of its %s",
                                     used ? "; " : "", damaged, demux_kinds[i]);
    }
    if (used)
        program_warn("%s: %s", demux->url, text);
    return used > 0;
}
