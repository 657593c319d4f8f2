#include "playback.h"

#include <stdio.h>
#include <stdlib.h>

/* A file. */

/* Looks at what each track has next. Returns whether the next frame to publish is known. */
static bool look_ahead(struct playback *playback) {
    bool is_known = true;
    demux_clear_ready(&playback->demux);
    for (uint32_t i = 0; i < playback->playings; i++) {
        struct playing *playing = &playback->playing[i];
        struct demux_item next;
        if (playing->track < 0) {
            playing->head = DEMUX_END;
        } else if (playing->item.frame) {
            playing->head = DEMUX_FRAME;
        } else {
            const uint32_t track = (uint32_t)playing->track;
            playing->head = demux_peek(&playback->demux, track, playback->pass, &next);
            if (playing->head == DEMUX_FRAME)
                demux_pop(&playback->demux, track, &playing->item);
        }
        is_known = is_known && playing->head != DEMUX_WAIT;
    }
    return is_known;
}

/* Ties the file's time to the clock's at the first frames of a pass. */
static void begin_pass(struct playback *playback) {
    int64_t base_ns = INT64_MAX;
    for (uint32_t i = 0; i < playback->playings; i++) {
        if (playback->playing[i].head != DEMUX_FRAME)
            continue;
        const int64_t position_ns = playing_position_ns(&playback->playing[i], &playback->demux);
        base_ns = position_ns < base_ns ? position_ns : base_ns;
    }
    if (base_ns == INT64_MAX)
        return;
    const int64_t now_ns = producer_media_ns(&playback->producer), end_ns = playback->end_ns;
    /* A loop goes on without a gap, also if it is a little late. */
    const bool begins_now = !playback->producer.is_unpaced &&
                            (playback->begins_anew || llabs(now_ns - end_ns) > PACE_JUMP_NS);
    pace_tie(&playback->pace, base_ns, begins_now ? now_ns : end_ns);
    playback->begins_anew = false;
    if (playback->pass > 1)
        playback_mark_jump(playback);
}

/* The track whose frame is due first; NULL: none has any. */
static struct playing *choose_next(struct playback *playback) {
    struct playing *chosen = NULL;
    for (uint32_t i = 0; i < playback->playings; i++) {
        struct playing *playing = &playback->playing[i];
        if (playing->head != DEMUX_FRAME)
            continue;
        playing->due_ns =
            pace_due_ns(&playback->pace, (int)i, playing_position_ns(playing, &playback->demux));
        if (!chosen || playing->due_ns < chosen->due_ns)
            chosen = playing;
    }
    return chosen;
}

/* Far behind its time, the rest would have to be hurried: the clock goes on from here instead. */
static void forgive_lateness(struct playback *playback, struct playing *playing) {
    const int64_t late_ns = producer_media_ns(&playback->producer) - playing->due_ns;
    if (playback->producer.is_unpaced || late_ns < PACE_JUMP_NS)
        return;
    playback->pace.origin_ns += late_ns;
    playing->due_ns += late_ns;
    playback_mark_jump(playback);
}

static void publish(struct playback *playback, struct playing *playing) {
    const bool is_unpaced = playback->producer.is_unpaced;
    const int64_t position_ns = playing_position_ns(playing, &playback->demux);
    const int64_t capture_ns = is_unpaced ? 0 : playback->producer.start_ns + playing->due_ns;
    int64_t publish_ns;
    if (!playing_publish(playing, &playback->producer, capture_ns, &publish_ns))
        return;
    playback->has_news = true;
    if (playing == &playback->playing[0])
        playback->position_ns = position_ns;
    if (playback->end_ns < playing->due_ns + playing->duration_ns)
        playback->end_ns = playing->due_ns + playing->duration_ns;
    if (!is_unpaced && publish_ns > capture_ns + playing->duration_ns)
        playing->stream->overdue++;
}

static bool is_all_over(const struct playback *playback) {
    for (uint32_t i = 0; i < playback->playings; i++)
        if (playback->playing[i].head != DEMUX_END)
            return false;
    return true;
}

/* False: the program is to end. Without a pace it is not the clock that ends it. */
static bool wait_for_frames(struct playback *playback) {
    struct producer *producer = &playback->producer;
    const int64_t end_ns = producer->is_unpaced ? SHMFRAME_FOREVER : producer_end_ns(producer);
    const enum producer_wait wait = producer_wait_for(producer, playback->demux.ready_fd, end_ns);
    return wait != PRODUCER_STOP && shmframe_now_ns() < end_ns;
}

/* Publishes the next frame, or waits for something. False: the program is to end. */
static bool step_file(struct playback *playback, bool is_known) {
    struct producer *producer = &playback->producer;
    if (is_known && !playback->pace.is_tied)
        begin_pass(playback);
    struct playing *playing = is_known ? choose_next(playback) : NULL;
    if (!playing) /* or one track is over, the other's next frame is far */
        return wait_for_frames(playback);
    if (producer_options.duration_ns && playing->due_ns >= producer_options.duration_ns)
        return false;
    const enum producer_wait wait = producer_wait_until(producer, playing->due_ns);
    if (wait == PRODUCER_DUE) {
        forgive_lateness(playback, playing);
        publish(playback, playing);
    }
    return wait != PRODUCER_STOP;
}

/* Returns whether the input is over; if not, the program is to end. */
static bool run_file(struct playback *playback) {
    while (!producer_has_enough(&playback->producer)) {
        const bool is_known = look_ahead(playback);
        if (is_known && is_all_over(playback)) {
            if (!demux_has_next_pass(&playback->demux, playback->pass))
                return true;
            playback->pass++;
            pace_untie(&playback->pace);
        } else if (!step_file(playback, is_known)) {
            return false;
        }
    }
    return false;
}

bool playback_seek(struct playback *playback, int64_t position_ns) {
    const uint32_t pass = playback->is_open ? demux_seek(&playback->demux, position_ns) : 0;
    if (!pass)
        return false;
    for (uint32_t i = 0; i < playback->playings; i++)
        playing_clear(&playback->playing[i]);
    playback->pass = pass;
    playback->begins_anew = true;
    pace_untie(&playback->pace);
    playback->position_ns = position_ns;
    return true;
}

/* Both. */

void playback_mark_jump(struct playback *playback) {
    for (uint32_t i = 0; i < playback->playings; i++)
        playback->playing[i].stream->is_discontinuous = true;
}

/* Frames that are decoded while they wait for their time. */
static uint32_t count_ahead(const struct playback *playback, const struct track *track) {
    const struct shmframe_rational rate = track->format.video.frame_rate;
    if (track->format.kind == SHMFRAME_AUDIO)
        return DEMUX_SOUND_AHEAD;
    if (!playback->input.is_live || rate.num <= 0 || rate.den <= 0)
        return DEMUX_PICTURES_AHEAD;
    const int64_t frames =
        av_rescale(playback->pace.buffer_ns, rate.num, rate.den * INT64_C(1000000000));
    return DEMUX_PICTURES_AHEAD + (frames < DEMUX_LIVE_AHEAD ? (uint32_t)frames : DEMUX_LIVE_AHEAD);
}

bool playback_open(struct playback *playback) {
    struct demux *demux = &playback->demux;
    uint32_t pictures = 0, sounds = 0;
    for (uint32_t i = 0; i < demux->tracks; i++) {
        struct playing *playing = &playback->playing[i];
        char name[SHMFRAME_NAME_BYTES];
        playing->track = (int)i;
        playing->is_sound = demux_is_sound(demux, i);
        playing->ordinal = playing->is_sound ? sounds++ : pictures++;
        if (!selection_name_stream(producer_options.stream, playing->is_sound, playing->ordinal,
                                   name))
            program_fail_usage("--stream: with \".sound\" or a number behind it, the name is too "
                               "long");
        playback->playings++;
        if (!playing_open(playing, &playback->producer, name, &demux->track[i],
                          count_ahead(playback, &demux->track[i]), playback->input.is_live))
            return false;
    }
    return true;
}

/* What was live may have come back as a file, which has an end. */
static bool comes_again(const struct playback *playback) {
    if (playback->input.is_live || input_comes_again(&playback->input))
        return true;
    program_warn("%s: it came back as a file, and that has ended", playback->input.url);
    return false;
}

void playback_run(struct playback *playback) {
    playback->pass = 1;
    playback->begins_anew = true;
    while (playback->input.is_live ? playback_run_live(playback) : run_file(playback))
        if (!playback->is_reconnecting || !comes_again(playback) || !playback_reconnect(playback))
            return;
}

/* The thread may wait in a loan for a lossless reader, and the decoder holds slots: both end before
 * the streams do. */
bool playback_close_input(struct playback *playback, bool is_reported) {
    if (!playback->is_open)
        return false;
    demux_stop(&playback->demux);
    for (uint32_t i = 0; i < playback->playings; i++) {
        playing_clear(&playback->playing[i]);
        playing_detach(&playback->playing[i]);
    }
    const bool is_bad = is_reported && demux_report(&playback->demux);
    demux_close(&playback->demux);
    playback->is_open = false;
    return is_bad;
}

int playback_finish(struct playback *playback) {
    shmframe_session_interrupt(playback->producer.session);
    const bool is_bad = playback_close_input(playback, true);
    for (uint32_t i = 0; i < playback->playings; i++)
        playing_finish(&playback->playing[i]);
    const int exit_code = producer_finish(&playback->producer);
    input_finish(&playback->input);
    return is_bad ? EXIT_FAILED : exit_code;
}
