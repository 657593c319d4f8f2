#include "demux.h"

#include "demux_input.h"
#include "demux_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* What has been told to stop does so within that time, unless it looks up a name. */
enum { STUCK_SECONDS = 1 };

/* Opening, starting and stopping. */

static void init(struct demux *demux, struct input *input, const struct demux_params *params) {
    *demux = (struct demux){.input = input, .params = *params, .pass = 1};
    pthread_mutex_init(&demux->mutex, NULL);
    pthread_cond_init(&demux->change, NULL);
    demux->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (demux->ready_fd < 0)
        program_fail("no descriptor to play %s: %m", input->url);
}

static int open_tracks(struct demux *demux) {
    const int result = demux_input_open(demux);
    for (uint32_t i = 0; result == 0 && i < demux->tracks; i++) {
        const size_t ahead = demux->input->is_live      ? DEMUX_LIVE_AHEAD
                             : demux_is_sound(demux, i) ? DEMUX_SOUND_AHEAD
                                                        : DEMUX_PICTURES_AHEAD;
        demux->items[i] = av_fifo_alloc2(ahead + 1, sizeof(struct demux_item), 0);
        if (!demux->items[i])
            program_fail("no memory to play %s", demux->input->url);
    }
    return result;
}

static void start_thread(struct demux *demux, void *(*run_in)(void *)) {
    const int result = pthread_create(&demux->thread, NULL, run_in, demux);
    if (result)
        program_fail("cannot start the decoding thread: %s", strerror(result));
    demux->is_running = true;
}

static void *run_opening(void *user) {
    struct demux *demux = user;
    const int result = open_tracks(demux);
    pthread_mutex_lock(&demux->mutex);
    demux->opened = result;
    demux->is_opening = false;
    pthread_mutex_unlock(&demux->mutex);
    demux_tell_ready(demux);
    return NULL;
}

void demux_begin_opening(struct demux *demux, struct input *input,
                         const struct demux_params *params) {
    init(demux, input, params);
    demux->is_opening = demux->is_openers = true;
    start_thread(demux, run_opening);
}

int demux_end_opening(struct demux *demux) {
    demux_clear_ready(demux);
    pthread_mutex_lock(&demux->mutex);
    const int result = demux->is_opening ? -EAGAIN : demux->opened;
    pthread_mutex_unlock(&demux->mutex);
    if (result == -EAGAIN)
        return result;
    pthread_join(demux->thread, NULL);
    demux->is_running = demux->is_openers = false;
    return result;
}

void demux_start(struct demux *demux) {
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (track_start(&demux->track[i]) < 0)
            program_fail("%s: track %d: %s", demux->input->url, demux->track[i].stream->index,
                         demux->track[i].why);
    demux->decoded_pass = demux->pass;
    demux->is_pass_empty = true;
    const int result = demux->input->is_live ? intake_start(&demux->intake, demux->input) : 0;
    if (result < 0)
        program_fail("cannot start the reading thread: %s", strerror(-result));
    start_thread(demux, demux_run);
}

/* Says that there is something to do; the mutex is held. */
static void tell_change(struct demux *demux) {
    demux->changes++;
    pthread_cond_signal(&demux->change);
}

static void clear_items(struct demux *demux) {
    struct demux_item item;
    for (uint32_t i = 0; i < demux->tracks; i++)
        while (demux->items[i] && av_fifo_read(demux->items[i], &item, 1) >= 0)
            demux_item_finish(&item);
}

/* False: the thread looks up a name, which cannot be ended: it is left there. */
static bool join(struct demux *demux) {
    struct timespec until;
    if (!demux->is_openers)
        return pthread_join(demux->thread, NULL) == 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STUCK_SECONDS;
    demux->input->is_left = pthread_clockjoin_np(demux->thread, NULL, CLOCK_MONOTONIC, &until) != 0;
    return !demux->input->is_left;
}

void demux_stop(struct demux *demux) {
    input_stop(demux->input);
    pthread_mutex_lock(&demux->mutex);
    demux->is_stopping = true;
    tell_change(demux);
    pthread_mutex_unlock(&demux->mutex);
    if (demux->is_running && !join(demux))
        return;
    demux->is_running = false;
    intake_stop(&demux->intake);
    clear_items(demux);
    for (uint32_t i = 0; i < demux->tracks; i++)
        track_close(&demux->track[i]);
}

void demux_close(struct demux *demux) {
    if (demux->input->is_left)
        return;
    for (uint32_t i = 0; i < demux->tracks; i++)
        av_fifo_freep2(&demux->items[i]);
    input_close(demux->input);
    close(demux->ready_fd);
    pthread_cond_destroy(&demux->change);
    pthread_mutex_destroy(&demux->mutex);
}

bool demux_is_sound(const struct demux *demux, uint32_t track) {
    return demux->track[track].stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
}

/* Taking frames. */

void demux_item_finish(struct demux_item *item) {
    av_frame_free(&item->frame);
    free(item->format);
    item->format = NULL;
}

/* The mutex is held. */
static enum demux_head look(struct demux *demux, uint32_t number, uint32_t pass,
                            struct demux_item *out_item) {
    struct demux_item item;
    while (av_fifo_peek(demux->items[number], &item, 1, 0) >= 0) {
        if (item.pass >= pass) {
            *out_item = item;
            return item.pass == pass && item.frame ? DEMUX_FRAME : DEMUX_END;
        }
        av_fifo_drain2(demux->items[number], 1);
        demux_item_finish(&item);
        tell_change(demux);
    }
    if (demux->is_over && demux->pass <= pass)
        return DEMUX_END;
    return demux->is_sparse[number] ? DEMUX_SPARSE : DEMUX_WAIT;
}

enum demux_head demux_peek(struct demux *demux, uint32_t track, uint32_t pass,
                           struct demux_item *out_item) {
    pthread_mutex_lock(&demux->mutex);
    const enum demux_head head = look(demux, track, pass, out_item);
    pthread_mutex_unlock(&demux->mutex);
    return head;
}

void demux_pop(struct demux *demux, uint32_t track, struct demux_item *out_item) {
    pthread_mutex_lock(&demux->mutex);
    av_fifo_read(demux->items[track], out_item, 1);
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
    const bool has = demux->pass > pass || (demux->params.is_looping && !demux->is_over);
    pthread_mutex_unlock(&demux->mutex);
    return has;
}

uint32_t demux_seek(struct demux *demux, int64_t position_ns) {
    if (!input_can_seek(demux->input))
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
    char text[2 * DEMUX_WHY_BYTES];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", demux->why);
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (demux->track[i].damaged && used < sizeof(text))
            used += (size_t)snprintf(text + used, sizeof(text) - used,
                                     "%s%" PRIu64 " damaged packets or frames of its %s, track %d",
                                     used ? "; " : "", demux->track[i].damaged,
                                     selection_name_kind(demux_is_sound(demux, i)),
                                     demux->track[i].stream->index);
    if (used)
        program_warn("%s: %s", demux->input->url, text);
    return demux->input->is_live ? demux->why[0] : used > 0;
}
