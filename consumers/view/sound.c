#include "sound.h"

#include "converter.h"
#include "speaker.h"
#include "sync.h"
#include <errno.h>
#include <stdlib.h>

#define MS INT64_C(1000000)

static const int64_t margin_min_ns =
    30 * MS; /* a processor that is busy may keep us waiting for so long */
static const int64_t margin_max_ns = 250 * MS;
static const int64_t excess_ns = 300 * MS;         /* beyond what was primed: thrown away */
static const int64_t dropout_memory_ns = 500 * MS; /* dry for longer: the source had stopped */
static const int64_t look_again_ns = 1000 * MS;
static const int64_t open_again_ns = 3000 * MS; /* a device that went away */
static const int64_t patience_ns = 3000 * MS;   /* it may take a second to look for devices */

struct sound {
    struct speaker *speaker;
    bool has_speaker;              /* it is open; until then there is no converter either */
    bool is_opening;               /* it will be */
    int64_t opening_ns;            /* since then */
    int64_t delay_before_ns;       /* before the last one went away */
    struct converter *converter;   /* from `format` to the speaker; NULL: nothing is played */
    struct shmframe_format format; /* kind SHMFRAME_NONE: none yet */
    int64_t block_ns;

    struct sync_line captured; /* by position in the queue */
    struct sync_line heard;
    struct sync_cushion cushion;
    int64_t delay_limit_ns;
    int64_t later_ns; /* see sound_set_later() */
    bool is_waited_for;

    struct gauge gauge;

    int64_t expected_ns; /* capture time of the next sample; 0: any */
    int64_t dry_ns;      /* since when the queue is dry; 0: it is not */
    int64_t look_next_ns;
    uint64_t dropouts;
    int64_t dropped_ns;
};

/* Without a thread for it, it is tried again when the speaker is looked after. */
static void open_speaker(struct sound *sound) {
    sound->has_speaker = false;
    sound->opening_ns = shmframe_now_ns();
    sound->is_opening = speaker_open(sound->speaker) == 0;
}

int sound_create(const char *device, struct sound **out_sound) {
    struct sound *const sound = calloc(1, sizeof *sound);
    if (!sound) {
        return -ENOMEM;
    }
    const int error = speaker_create(device, &sound->speaker);
    if (error) {
        sound_destroy(sound);
        return error;
    }
    sound->delay_limit_ns = margin_max_ns;
    sync_cushion_init(&sound->cushion, margin_min_ns, margin_max_ns);
    open_speaker(sound);
    *out_sound = sound;
    return 0;
}

void sound_destroy(struct sound *sound) {
    if (!sound) {
        return;
    }
    speaker_destroy(sound->speaker);
    converter_destroy(sound->converter);
    free(sound);
}

static int64_t frames_to_ns(uint64_t frames, uint32_t rate_hz) {
    return (int64_t)((double)frames * 1e9 / rate_hz);
}

static uint32_t ns_to_frames(int64_t ns, uint32_t rate_hz) {
    return (uint32_t)((double)ns * rate_hz / 1e9);
}

/* Whether what is pushed is played. */
static bool is_open(const struct sound *sound) {
    return sound->converter != NULL;
}

/* How much must wait before the device begins: the margin, what the device takes at once while the
 * next block is still being captured, and what is to be heard later. */
static int64_t prime_ns(const struct sound *sound) {
    return sound->cushion.margin_ns + sound->block_ns + sound->later_ns;
}

static void set_prime(struct sound *sound) {
    const uint32_t frames = ns_to_frames(prime_ns(sound), speaker_rate_hz(sound->speaker));
    speaker_set_prime(sound->speaker, frames > 0 ? frames : 1);
}

/* ---- Formats ---- */

void sound_set_waited_for(struct sound *sound, bool is_waited_for) {
    sound->is_waited_for = is_waited_for;
}

/* From the format to the device that is open. Without a converter there is no format. */
static int start_converter(struct sound *sound) {
    converter_destroy(sound->converter);
    sound->converter = NULL;
    set_prime(sound);
    const int error = converter_create(&sound->format, speaker_rate_hz(sound->speaker),
                                       speaker_channels(sound->speaker), &sound->converter);
    if (error) {
        sound->format.kind = SHMFRAME_NONE;
    }
    return error;
}

int sound_set_format(struct sound *sound, const struct shmframe_format *format) {
    sound->format = *format;
    sound->block_ns = frames_to_ns(format->audio.samples_max, format->audio.sample_rate);
    gauge_init(&sound->gauge, format->audio.channels);
    return sound->has_speaker ? start_converter(sound) : 0;
}

/* Goes on when the speaker is open. */
static int begin_speaker(struct sound *sound) {
    if (!sound->is_opening) {
        return 0;
    }
    const int error = speaker_finish_opening(sound->speaker);
    if (error == -EAGAIN) {
        return 0;
    }
    sound->is_opening = false;
    sound->has_speaker = !error;
    if (error) {
        return error;
    }
    sync_line_reset(&sound->captured, speaker_rate_hz(sound->speaker));
    sync_line_reset(&sound->heard, speaker_rate_hz(sound->speaker));
    sound->expected_ns = 0;
    sound->dry_ns = 0;
    return sound->format.kind == SHMFRAME_AUDIO ? start_converter(sound) : 0;
}

bool sound_has_device(struct sound *sound) {
    begin_speaker(sound);
    return sound->has_speaker;
}

bool sound_is_ready(struct sound *sound) {
    return sound_has_device(sound) && speaker_is_warm(sound->speaker);
}

/* ---- Playing ---- */

void sound_jump(struct sound *sound) {
    sound->expected_ns = 0;
}

static void jump(struct sound *sound) {
    sync_line_reset(&sound->captured, speaker_rate_hz(sound->speaker));
}

/* More at once would be heard far too late. */
bool sound_has_room(const struct sound *sound) {
    if (!is_open(sound)) {
        return sound->has_speaker;
    }
    const uint32_t fill = samples_fill(speaker_queue(sound->speaker));
    return frames_to_ns(fill, speaker_rate_hz(sound->speaker)) <= prime_ns(sound) + excess_ns;
}

/* What came between the last block and this one: nothing, silence, or another time line. */
static void bridge_gap(struct sound *sound, const struct shmframe_lease *lease) {
    const bool is_new =
        (lease->flags & SHMFRAME_LEASE_RESTARTED) || sound->expected_ns == 0 || sound->dry_ns != 0;
    const int64_t captured_ns = lease->frame.capture_ns;
    if (is_new) {
        jump(sound);
        return;
    }
    switch (sync_gap_judge(sound->expected_ns, captured_ns, lease->lost > 0)) {
    case SYNC_FOLLOWS:
        break;
    case SYNC_FILL:
        samples_append(
            speaker_queue(sound->speaker), NULL,
            ns_to_frames(captured_ns - sound->expected_ns, speaker_rate_hz(sound->speaker)));
        break;
    case SYNC_JUMP:
        jump(sound);
        break;
    }
}

/* A queue that ran dry while the source went on was too short. */
static void judge_dryness(struct sound *sound, int64_t now_ns) {
    if (sound->dry_ns == 0) {
        return;
    }
    if (now_ns - sound->dry_ns < dropout_memory_ns) {
        sync_cushion_ran_dry(&sound->cushion);
        set_prime(sound);
        sound->dropouts++;
    }
    sound->dry_ns = 0;
}

int64_t sound_push(struct sound *sound, const struct shmframe_lease *lease) {
    if (!is_open(sound) || lease->frame.samples == 0) {
        return 0;
    }
    const int64_t length_ns = frames_to_ns(lease->frame.samples, sound->format.audio.sample_rate);
    if (!sound_has_room(sound) || sound->cushion.excess_ns >= length_ns) {
        sound->cushion.excess_ns -= length_ns;
        sound->dropped_ns += length_ns;
        sound->expected_ns = 0;
        return 0;
    }
    bridge_gap(sound, lease);
    judge_dryness(sound, lease->acquire_ns);
    const float *samples;
    const int frames = converter_run(sound->converter, lease, &samples);
    if (frames < 0) {
        return 0;
    }
    struct sound_block block;
    if (!sound_block_from_lease(lease, 0, lease->frame.samples, &block)) {
        gauge_add(&sound->gauge, &block, lease->frame.capture_ns, length_ns);
    }
    struct samples *const queue = speaker_queue(sound->speaker);
    samples_append(queue, samples, (uint32_t)frames);
    sound->expected_ns = lease->frame.capture_ns + length_ns;
    /* The queue ends with the newest sample that the converter has let go. */
    const int64_t held_back_ns = converter_delay_ns(sound->converter);
    sync_line_observe(&sound->captured, samples_head(queue), sound->expected_ns - held_back_ns);
    return sound_is_heard(sound)
               ? lease->frame.capture_ns + sync_delay_ns(&sound->captured, &sound->heard)
               : 0;
}

static int64_t expected_delay_ns(const struct sound *sound) {
    return prime_ns(sound) + sound->block_ns + speaker_latency_ns(sound->speaker);
}

static void read_reports(struct sound *sound, int64_t now_ns) {
    struct speaker_report report;
    while (speaker_next_report(sound->speaker, &report)) {
        if (report.is_dry) {
            sound->dry_ns = now_ns;
            sync_line_reset(&sound->heard, speaker_rate_hz(sound->speaker));
            continue;
        }
        sync_line_observe(&sound->heard, report.position, report.heard_ns);
        sync_cushion_observe(&sound->cushion,
                             frames_to_ns(report.left, speaker_rate_hz(sound->speaker)) -
                                 sound->later_ns);
    }
}

/* A device that went away is replaced by what there is now, until it is there again. */
static void look_after_device(struct sound *sound, int64_t now_ns) {
    if (now_ns < sound->look_next_ns || sound->is_opening) {
        return;
    }
    sound->look_next_ns = now_ns + look_again_ns;
    if (sound->has_speaker && speaker_is_alive(sound->speaker)) {
        return;
    }
    sound->look_next_ns = now_ns + open_again_ns;
    if (is_open(sound)) {
        sound->delay_before_ns = expected_delay_ns(sound);
        converter_destroy(sound->converter);
        sound->converter = NULL;
    }
    open_speaker(sound);
}

int sound_update(struct sound *sound, int64_t now_ns, int64_t picture_late_ns) {
    const int error = begin_speaker(sound);
    if (error) {
        return error;
    }
    if (!is_open(sound)) {
        look_after_device(sound, now_ns);
        return 0;
    }
    speaker_advance(sound->speaker, now_ns);
    read_reports(sound, now_ns);
    int64_t delay_ns = 0;
    const bool is_known = sound_delay_ns(sound, &delay_ns);
    if (is_known) {
        gauge_advance(&sound->gauge, now_ns - delay_ns);
    }
    const bool may_grow = is_known && delay_ns + picture_late_ns < sound->delay_limit_ns;
    if (sync_cushion_step(&sound->cushion, now_ns, may_grow ? picture_late_ns : 0)) {
        if (sound->is_waited_for) {
            /* The queue is as long as sound_has_room() lets it be: that is no mistake. */
            sound->cushion.excess_ns = 0;
            sound->cushion.speed = 1;
        }
        set_prime(sound);
        converter_set_speed(sound->converter, sound->cushion.speed);
    }
    look_after_device(sound, now_ns);
    return 0;
}

bool sound_is_heard(const struct sound *sound) {
    return is_open(sound) && sync_line_is_known(&sound->heard) &&
           sync_line_is_known(&sound->captured);
}

bool sound_delay_ns(const struct sound *sound, int64_t *out_delay_ns) {
    if (!is_open(sound)) {
        /* Pictures are not to run ahead meanwhile. */
        *out_delay_ns = sound->delay_before_ns;
        return sound->delay_before_ns > 0;
    }
    *out_delay_ns = sound_is_heard(sound) ? sync_delay_ns(&sound->captured, &sound->heard)
                                          : expected_delay_ns(sound);
    return true;
}

void sound_set_delay_limit(struct sound *sound, int64_t limit_ns) {
    sound->delay_limit_ns = limit_ns;
}

/* Silence makes it later at once. Earlier it gets as every queue that is too long: by being played
 * a little faster, or, if it is far too long, by losing a block. */
void sound_set_later(struct sound *sound, int64_t later_ns) {
    const int64_t more_ns = later_ns - sound->later_ns;
    sound->later_ns = later_ns;
    if (!is_open(sound)) {
        return;
    }
    set_prime(sound);
    sound->cushion.least_ns = INT64_MAX;
    if (more_ns > 0 && speaker_is_playing(sound->speaker)) {
        const uint32_t rate_hz = speaker_rate_hz(sound->speaker);
        const uint32_t frames =
            samples_append(speaker_queue(sound->speaker), NULL, ns_to_frames(more_ns, rate_hz));
        sync_line_shift(&sound->captured, -frames_to_ns(frames, rate_hz));
    }
}

void sound_read_gauges(const struct sound *sound, struct gauge_reading *out_reading) {
    if (is_open(sound)) {
        gauge_read(&sound->gauge, out_reading);
    } else {
        out_reading->channels = 0;
    }
}

void sound_set_gain(struct sound *sound, float gain) {
    speaker_set_gain(sound->speaker, gain);
}

bool sound_is_drained(struct sound *sound) {
    return !is_open(sound) || !speaker_is_playing(sound->speaker);
}

bool sound_is_replaced(const struct sound *sound) {
    return sound->has_speaker && speaker_is_replaced(sound->speaker);
}

const char *sound_trouble(const struct sound *sound) {
    if (sound->has_speaker) {
        return speaker_trouble(sound->speaker);
    }
    const bool is_overdue = shmframe_now_ns() - sound->opening_ns > patience_ns;
    return is_overdue ? "the sound device does not answer" : NULL;
}

void sound_get_state(const struct sound *sound, struct sound_state *out_state) {
    *out_state = (struct sound_state){
        .dropouts = sound->dropouts + speaker_underflows(sound->speaker),
        .dropped_ns = (uint64_t)sound->dropped_ns,
    };
    sound_delay_ns(sound, &out_state->delay_ns);
    if (!is_open(sound)) {
        return;
    }
    const uint32_t rate_hz = speaker_rate_hz(sound->speaker);
    out_state->rate_hz = rate_hz;
    out_state->channels = speaker_channels(sound->speaker);
    out_state->queued_ns = frames_to_ns(samples_fill(speaker_queue(sound->speaker)), rate_hz);
    out_state->speed = sound->cushion.speed;
}
