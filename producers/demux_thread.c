/* Demux: the decoding thread. */
#include "demux_thread.h"

#include "demux_input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* How far packets of one track are read ahead in search of the other's. */
#define AHEAD_NS    (3 * SECOND_NS)
#define AHEAD_BYTES ((size_t)64 << 20)

void demux_tell_ready(const struct demux *demux) {
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
    for (uint32_t i = 0; i < demux->tracks; i++) {
        if (demux->track[i].next_pts == AV_NOPTS_VALUE)
            continue;
        const int64_t ns = demux_position_ns(demux, i, demux->track[i].next_pts);
        end_ns = ns > end_ns ? ns : end_ns;
    }
    return end_ns;
}

/* When what the frame was decoded from came in. */
static void date_item(struct demux *demux, uint32_t number, struct demux_item *item) {
    const struct timeline_entry *entry =
        timeline_find(&demux->timeline, (int)number, item->frame->pts, &item->is_jump);
    item->arrival_ns = entry ? entry->arrival_ns : item->ready_ns;
    item->skipped = demux->skipped[number];
    demux->skipped[number] = 0;
}

/* Queues a frame, or the end of a track where `frame` is NULL. Takes it. */
static void push(struct demux *demux, uint32_t number, AVFrame *frame) {
    struct demux_item item = {
        .frame = frame,
        .pass = demux->decoded_pass,
        .ready_ns = shmframe_now_ns(),
    };
    struct track *track = &demux->track[number];
    demux->is_pass_empty &= !frame;
    if (frame)
        date_item(demux, number, &item);
    if (frame && track_changes_format(track, demux->input->context, frame)) {
        item.format = malloc(sizeof(*item.format));
        if (item.format)
            *item.format = track->format;
    }
    pthread_mutex_lock(&demux->mutex);
    const bool is_stale = demux->is_sought;
    if (!is_stale) {
        demux->is_sparse[number] = false;
        av_fifo_write(demux->items[number], &item, 1);
    }
    pthread_mutex_unlock(&demux->mutex);
    if (is_stale)
        demux_item_finish(&item);
    else
        demux_tell_ready(demux);
}

static bool has_room(struct demux *demux, uint32_t number) {
    pthread_mutex_lock(&demux->mutex);
    /* One place is kept for the mark of the end. */
    const bool has = av_fifo_can_write(demux->items[number]) > 1;
    pthread_mutex_unlock(&demux->mutex);
    return has;
}

/* Decodes what can be decoded of a track. Returns whether it wants a packet. */
static bool advance(struct demux *demux, uint32_t number, bool *did_work) {
    struct track *track = &demux->track[number];
    if (track->is_ended || !has_room(demux, number))
        return false;
    AVFrame *frame = av_frame_alloc();
    track->is_ended |= !frame;
    const enum track_step step = track_step(track, frame);
    if (step != TRACK_FRAME)
        av_frame_free(&frame);
    if (step == TRACK_FRAME || step == TRACK_ENDED)
        push(demux, number, frame);
    *did_work |= step != TRACK_NEEDS_PACKET;
    return step == TRACK_NEEDS_PACKET;
}

static bool is_far_ahead(const struct demux *demux) {
    size_t bytes = 0;
    int64_t ahead_ns = 0;
    for (uint32_t i = 0; i < demux->tracks; i++) {
        const int64_t ns = track_ahead_ns(&demux->track[i]);
        ahead_ns = ns > ahead_ns ? ns : ahead_ns;
        bytes += demux->track[i].packet_bytes;
    }
    return ahead_ns > AHEAD_NS || bytes > AHEAD_BYTES;
}

static void mark_complete(struct demux *demux) {
    for (uint32_t i = 0; i < demux->tracks; i++)
        demux->track[i].is_complete = true;
}

/* The reading is over. */
static void end_reading(struct demux *demux, int av_result) {
    const int64_t end_ns = find_end_ns(demux);
    if (input_is_stopping(demux->input) || program_is_stopping()) {
        /* It was not the input that ended. */
    } else if (demux->input->is_live || av_result == AVERROR_EXIT) {
        input_explain(demux->input, av_result);
        if (av_result != AVERROR_EOF)
            note(demux, demux->input->why, 0, end_ns);
    } else if (av_result == AVERROR_EOF && demux->is_cut_off) {
        note(demux, "truncated inside the last packet", 0, end_ns);
    } else if (av_result != AVERROR_EOF) {
        note(demux, "reading ended", av_result, end_ns);
    }
    mark_complete(demux);
}

/* Whether the packet is left out: it is too old, or refers to one that was. */
static bool skip_packet(struct demux *demux, int number, const AVPacket *packet,
                        int64_t arrival_ns) {
    const bool is_key =
        demux_is_sound(demux, (uint32_t)number) || (packet->flags & AV_PKT_FLAG_KEY);
    if (!demux->input->is_live)
        return false;
    if (shmframe_now_ns() - arrival_ns > DEMUX_STALE_NS)
        demux->is_skipping[number] = true;
    else if (is_key)
        demux->is_skipping[number] = false;
    demux->skipped[number] += demux->is_skipping[number];
    return demux->is_skipping[number];
}

/* Gives it to its track. */
static void add_packet(struct demux *demux, struct track *track, AVPacket *packet,
                       int64_t arrival_ns) {
    const int number = (int)(track - demux->track);
    const bool was_skipping = demux->is_skipping[number];
    /* Nobody would take them: they would only look like being far ahead. */
    if (track->is_ended)
        return;
    if (skip_packet(demux, number, packet, arrival_ns))
        return;
    timeline_add(&demux->timeline, number, packet, track->stream->time_base, arrival_ns);
    if (was_skipping)
        timeline_mark_jump(&demux->timeline, number);
    if (track_add_packet(track, packet) < 0) {
        note(demux, "no memory for a packet", 0, find_end_ns(demux));
        mark_complete(demux);
    }
}

/* FFmpeg calls a packet damaged that is shorter than it has asked for: so is the last one of sound
 * that is sent on and on, such as a wav in a pipe, and nothing is wrong with it. */
static bool is_end_of_open_sound(const AVStream *stream, const AVPacket *packet) {
    const int sample_bytes = av_get_exact_bits_per_sample(stream->codecpar->codec_id) / 8 *
                             stream->codecpar->ch_layout.nb_channels;
    return stream->duration == AV_NOPTS_VALUE && sample_bytes && packet->size % sample_bytes == 0;
}

static void take_packet(struct demux *demux, AVPacket *packet, int64_t arrival_ns) {
    struct track *track = demux_input_find_track(demux, packet);
    if (is_end_of_open_sound(demux->input->context->streams[packet->stream_index], packet))
        packet->flags &= ~AV_PKT_FLAG_CORRUPT;
    demux->is_cut_off = packet->flags & AV_PKT_FLAG_CORRUPT;
    if (track && demux->is_cut_off)
        track->damaged++;
    if (track)
        add_packet(demux, track, packet, arrival_ns);
    av_packet_unref(packet);
}

/* Some demuxers fail at the end of a file that is whole. */
static bool is_at_end(AVIOContext *bytes, int result, int64_t before) {
    return result == AVERROR(EIO) && bytes && !bytes->error && avio_feof(bytes) &&
           avio_tell(bytes) == before;
}

static int read_file(struct input *input, AVPacket *packet) {
    AVIOContext *bytes = input->context->pb;
    const int64_t before = bytes ? avio_tell(bytes) : 0;
    input_expect(input);
    const int result = av_read_frame(input->context, packet);
    return is_at_end(bytes, result, before) || input_has_ended(input, result) ? AVERROR_EOF
                                                                              : result;
}

static void read_packet(struct demux *demux, AVPacket *packet) {
    int64_t arrival_ns;
    int result;
    if (demux->input->is_live) {
        result = intake_read(&demux->intake, packet, &arrival_ns);
    } else {
        result = read_file(demux->input, packet);
        arrival_ns = shmframe_now_ns();
    }
    if (result == AVERROR(EAGAIN))
        nanosleep(&(struct timespec){.tv_nsec = SECOND_NS / 200}, NULL);
    else if (result < 0)
        end_reading(demux, result);
    else
        take_packet(demux, packet, arrival_ns);
}

static void restart_tracks(struct demux *demux, int64_t position_ns) {
    timeline_reset(&demux->timeline, demux->params.is_mending);
    for (uint32_t i = 0; i < demux->tracks; i++)
        track_restart(&demux->track[i], demux->input->context, position_ns);
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
    for (uint32_t i = 0; i < demux->tracks; i++)
        track_tell_format(&demux->track[i]);
    demux->is_pass_empty = true;
    demux->is_cut_off = false;

    pthread_mutex_lock(&demux->mutex);
    /* Frames of before were kept out until here; another seek may have come meanwhile. */
    demux->is_sought &= demux->pass != demux->decoded_pass;
    pthread_mutex_unlock(&demux->mutex);
    /* After a failure it goes on where it was, which may be the end. */
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (demux->track[i].is_ended)
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
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (!demux->track[i].is_ended)
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
static void wait_for_change(struct demux *demux, uint64_t changes, const bool *wants) {
    bool is_news = false;
    pthread_mutex_lock(&demux->mutex);
    for (uint32_t i = 0; i < demux->tracks; i++) {
        is_news |= wants[i] && !demux->is_sparse[i];
        demux->is_sparse[i] = wants[i];
    }
    if (is_news)
        demux_tell_ready(demux);
    while (demux->changes == changes)
        pthread_cond_wait(&demux->change, &demux->mutex);
    pthread_mutex_unlock(&demux->mutex);
}

static void end_pass(struct demux *demux) {
    if (!demux->why[0] && !demux->input->is_live)
        check_end(demux);
    pthread_mutex_lock(&demux->mutex);
    const bool is_loop = demux->params.is_looping && !demux->is_pass_empty;
    demux->is_over = !is_loop;
    demux_tell_ready(demux);
    while (!is_loop && !demux->is_sought && !demux->is_stopping)
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

static bool is_stopping(struct demux *demux) {
    pthread_mutex_lock(&demux->mutex);
    const bool is = demux->is_stopping;
    pthread_mutex_unlock(&demux->mutex);
    return is;
}

void *demux_run(void *user) {
    struct demux *demux = user;
    AVPacket *packet = av_packet_alloc();
    while (packet && !is_stopping(demux)) {
        if (is_seek_due(demux))
            begin_pass(demux, false);
        const uint64_t changes = count_changes(demux);
        bool wants[DEMUX_TRACKS_MAX], does_want = false, did_work = false;
        for (uint32_t i = 0; i < demux->tracks; i++) {
            wants[i] = advance(demux, i, &did_work);
            does_want |= wants[i];
        }
        if (is_all_ended(demux))
            end_pass(demux);
        else if (does_want && !is_far_ahead(demux))
            read_packet(demux, packet);
        else if (!did_work)
            wait_for_change(demux, changes, wants);
    }
    av_packet_free(&packet);
    return NULL;
}
