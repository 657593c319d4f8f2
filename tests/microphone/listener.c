#include "listener.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

struct listener listener_make(void) {
    return (struct listener){.next = -1, .least_error_ns = INT64_MAX, .most_error_ns = INT64_MIN};
}

/* The number of a sample, the one nearest to `near`: the right channel alone has it but for a
 * multiple of its period, the left one tells which. -1: it is no sample of the signal. */
static int64_t identify(const int16_t sample[SIGNAL_CHANNELS], int64_t near) {
    const int64_t first = near - near % SIGNAL_PERIOD + sample[1] - 1;
    for (int64_t turn = 0; turn < 40; turn++) {
        const int64_t i = first + (turn % 2 ? -1 : 1) * (turn + 1) / 2 * SIGNAL_PERIOD;
        int16_t truth[SIGNAL_CHANNELS];
        if (i < 0)
            continue;
        signal_fill(truth, i);
        if (sample[0] == truth[0] && sample[1] == truth[1])
            return i;
    }
    return -1;
}

/* Takes one sample; `near` is about its number. */
static void hear(struct listener *listener, const int16_t sample[SIGNAL_CHANNELS], int64_t near) {
    if (sample[0] == 0 && sample[1] == 0) { /* nothing is played */
        listener->silent++;
        listener->is_silent = true;
        return;
    }
    const int64_t i = identify(sample, listener->next >= 0 ? listener->next : near);
    ck_assert_msg(i >= 0, "%d %d is no sample of the signal", sample[0], sample[1]);
    if (listener->next >= 0 && (listener->is_silent ? i < listener->next : i != listener->next))
        listener->jumps++;
    if (listener->next >= 0 && listener->is_silent)
        listener->pauses++;
    listener->is_silent = false;
    listener->next = i + 1;
    listener->samples++;
}

void listener_hear_frame(struct listener *listener, const struct shmframe_lease *lease,
                         const struct sound_feed *feed) {
    const struct shmframe_frame *frame = &lease->frame;
    const uint32_t channels = lease->format->audio.channels;
    const void *samples = shmframe_lease_plane(lease, 0);
    const bool is_wide = strcmp(lease->format->audio.sample_format, "s32") == 0;
    ck_assert(is_wide || strcmp(lease->format->audio.sample_format, "s16") == 0);
    const int64_t near = feed ? (frame->capture_ns - feed->start_ns) * SIGNAL_RATE / SECOND_NS : 0;
    for (uint32_t i = 0; i < frame->samples; i++) {
        int16_t sample[SIGNAL_CHANNELS];
        for (uint32_t c = 0; c < SIGNAL_CHANNELS; c++) {
            const size_t at = (size_t)channels * i + c;
            sample[c] = is_wide ? (int16_t)(((const int32_t *)samples)[at] >> 16)
                                : ((const int16_t *)samples)[at];
        }
        hear(listener, sample, near > 0 ? near + i : 0);
    }
    listener->shift = frame->pts + frame->samples - listener->next;
    if (!feed)
        return;
    const int64_t truth_ns =
        feed->start_ns + (listener->next - frame->samples) * SECOND_NS / SIGNAL_RATE;
    const int64_t error_ns = frame->capture_ns - truth_ns;
    if (error_ns < listener->least_error_ns)
        listener->least_error_ns = error_ns;
    if (error_ns > listener->most_error_ns)
        listener->most_error_ns = error_ns;
}
