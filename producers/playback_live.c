/* Playback: of live inputs, and what comes back after it was lost. */
#include "playback.h"

#include <errno.h>

/* What was skipped before the first frame was before the beginning. */
static void count_skipped(struct playing *playing, const struct demux_item *item) {
    if (playing->stream->in_place + playing->stream->copied > 0)
        playing->stream->dropped += item->skipped;
}

/* What has come out of the decoder of a track is given its time. */
static void take_items(struct playback *playback, uint32_t number) {
    struct playing *playing = &playback->playing[number];
    struct demux *demux = &playback->demux;
    const uint32_t track = (uint32_t)playing->track;
    struct demux_item item;
    while ((playing->head = demux_peek(demux, track, playback->pass, &item)) == DEMUX_FRAME) {
        demux_pop(demux, track, &item);
        if (item.arrival_ns < playback->producer.started_ns - DEMUX_STALE_NS) {
            playing_drop(playing, &item);
            continue;
        }
        count_skipped(playing, &item);
        const int64_t position_ns = demux_position_ns(demux, track, item.frame->pts);
        if (pace_take(&playback->pace, (int)number, position_ns, item.ready_ns))
            playback_mark_jump(playback);
        if (playback->producer.is_paused || av_fifo_write(playing->waiting, &item, 1) < 0)
            playing_drop(playing, &item);
    }
}

static void drop_waiting(struct playing *playing) {
    struct demux_item item;
    if (playing->item.frame)
        playing_drop(playing, &playing->item);
    playing->sample = 0;
    while (av_fifo_read(playing->waiting, &item, 1) >= 0)
        playing_drop(playing, &item);
}

/* The track whose frame is due first; NULL: none has any. */
static struct playing *choose_next(struct playback *playback) {
    struct playing *chosen = NULL;
    for (uint32_t i = 0; i < playback->playings; i++) {
        struct playing *playing = &playback->playing[i];
        if (playing->track < 0)
            continue;
        if (!playing->item.frame && av_fifo_read(playing->waiting, &playing->item, 1) < 0)
            continue;
        playing->due_ns =
            pace_due_ns(&playback->pace, (int)i, playing_position_ns(playing, &playback->demux));
        if (!chosen || playing->due_ns < chosen->due_ns)
            chosen = playing;
    }
    return chosen;
}

static bool is_all_over(const struct playback *playback) {
    for (uint32_t i = 0; i < playback->playings; i++)
        if (playback->playing[i].track >= 0 && playback->playing[i].head != DEMUX_END)
            return false;
    return true;
}

static void publish(struct playback *playback, struct playing *playing) {
    int64_t publish_ns;
    if (!playing_publish(playing, &playback->producer, playing->item.arrival_ns, &publish_ns))
        return;
    playback->has_news = true;
    if (publish_ns > playing->due_ns + playing->duration_ns)
        playing->stream->overdue++;
}

bool playback_run_live(struct playback *playback) {
    struct producer *producer = &playback->producer;
    while (!producer_is_over(producer)) {
        demux_clear_ready(&playback->demux);
        for (uint32_t i = 0; i < playback->playings; i++) {
            if (playback->playing[i].track >= 0)
                take_items(playback, i);
            if (producer->is_paused)
                drop_waiting(&playback->playing[i]);
        }
        struct playing *next = choose_next(playback);
        if (!next && is_all_over(playback))
            return true;
        const int64_t end_ns = producer_end_ns(producer);
        const int64_t due_ns = next ? next->due_ns : SHMFRAME_FOREVER;
        if (producer_wait_for(producer, playback->demux.ready_fd,
                              due_ns < end_ns ? due_ns : end_ns) == PRODUCER_STOP)
            return false;
        if (next && !producer->is_paused && due_ns <= shmframe_now_ns() &&
            !producer_is_over(producer))
            publish(playback, next);
    }
    return false;
}

/* Reconnecting. */

/* Serves requests until the input is open, or not. Returns as demux_end_opening(). */
static int wait_for_opening(struct playback *playback) {
    struct producer *producer = &playback->producer;
    for (;;) {
        const int result = demux_end_opening(&playback->demux);
        if (result != -EAGAIN)
            return result;
        if (producer_wait_for(producer, playback->demux.ready_fd, producer_end_ns(producer)) ==
                PRODUCER_STOP ||
            producer_is_over(producer))
            return -EINTR;
    }
}

static int find_track(const struct demux *demux, bool is_sound, uint32_t ordinal) {
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (demux_is_sound(demux, i) == is_sound && ordinal-- == 0)
            return (int)i;
    return -1;
}

/* What has no stream is not decoded. */
static void drop_others(struct playback *playback) {
    struct demux *demux = &playback->demux;
    for (int track = (int)demux->tracks - 1; track >= 0; track--) {
        bool is_used = false;
        for (uint32_t i = 0; i < playback->playings; i++)
            is_used |= playback->playing[i].track == track;
        if (is_used)
            continue;
        demux_drop_track(demux, (uint32_t)track);
        for (uint32_t i = 0; i < playback->playings; i++)
            playback->playing[i].track -= playback->playing[i].track > track;
    }
}

/* Ties the streams to the tracks that there are now. False: there is none, or asked to stop. */
static bool attach_tracks(struct playback *playback) {
    struct demux *demux = &playback->demux;
    for (uint32_t i = 0; i < playback->playings; i++) {
        struct playing *playing = &playback->playing[i];
        const int before = playing->track;
        playing->track = find_track(demux, playing->is_sound, playing->ordinal);
        if (playing->track < 0 && before >= 0)
            program_warn("%s: the input has come back without its track", playing->stream->name);
    }
    drop_others(playback);
    for (uint32_t i = 0; i < playback->playings; i++) {
        struct playing *playing = &playback->playing[i];
        if (playing->track >= 0 && !playing_attach(playing, &demux->track[playing->track]))
            return false;
    }
    return demux->tracks > 0;
}

static bool open_again(struct playback *playback) {
    demux_begin_opening(&playback->demux, &playback->input, &playback->params);
    playback->is_open = true;
    const int result = wait_for_opening(playback);
    if (result == 0 && attach_tracks(playback))
        return true;
    playback_close_input(playback, false);
    return false;
}

bool playback_reconnect(struct playback *playback) {
    const char *why = playback->demux.why;
    if (playback->has_news) {
        program_warn("%s: lost (%s); it is tried again until it is back", playback->input.url,
                     why[0] ? why : "it ended");
        playback->tries = 0;
    }
    playback->has_news = false;
    playback_close_input(playback, false);
    do {
        if (producer_wait_retry(&playback->producer, &playback->tries) == PRODUCER_STOP)
            return false;
    } while (!open_again(playback));
    playback->pass = 1;
    playback->begins_anew = true;
    pace_untie(&playback->pace);
    playback_mark_jump(playback);
    demux_start(&playback->demux);
    return true;
}
