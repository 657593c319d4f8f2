/* shmframe-microphone: a sound device, read straight into the slots.
 *
 * The device's buffer is looked at when the next block should be full, and then every tenth of a
 * block until it is: nothing here can block, so requests, Ctrl-C and --duration are served in
 * time whatever the device does. bench/microphone shows what that is worth beside PortAudio's
 * call-back.
 */
#include "adc_clock.h"
#include "producer.h"
#include "report.h"
#include "sound_device.h"
#include "sound_input.h"
#include "sound_system.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* A device that delivers nothing for so long is gone. Sound servers may need a second to begin. */
#define SILENCE_MAX_NS  (3 * SECOND_NS)
#define SILENCE_STEP_NS (SECOND_NS / 10)
/* Twice its rate, for so long, is no device's: sound servers begin with what they kept at most. */
#define AHEAD_MAX_NS   (5 * SECOND_NS)
#define LATENCY_MAX_NS (10 * SECOND_NS)

enum { SAMPLE_RATE_MAX = 768000, LOOKS_A_BLOCK = 10 };
static const int64_t look_min_ns = SECOND_NS / 2000;
static const int64_t look_max_ns = SECOND_NS / 100;

static struct {
    const char *device;
    uint32_t sample_rate, channels, block;
    const char *sample_format;
    int64_t latency_ns;
} options = {.sample_format = "flt"};

static const struct option_spec specs[] = {
    {"device", 'D', OPTION_TEXT, &options.device, "NAME|NUMBER",
     "input device, see --list; a part of its name is enough; default: the system's default"},
    {"sample-rate", 0, OPTION_COUNT, &options.sample_rate, "HZ",
     "samples a second; default 48000, or the device's own if it refuses that"},
    {"channels", 'c', OPTION_COUNT, &options.channels, "COUNT",
     "channels; default 2, or 1 if the device has no more"},
    {"sample-format", 0, OPTION_TEXT, &options.sample_format, "NAME",
     "flt, s16, s32, u8, or planar: fltp, s16p, s32p, u8p; default flt"},
    {"block", 'b', OPTION_COUNT, &options.block, "SAMPLES",
     "samples a channel in a block; default 10 ms"},
    {"latency", 'L', OPTION_DURATION, &options.latency_ns, "TIME",
     "buffer that the device is asked for; default: its own for safe recording, see --list"},
    {0},
};

static const struct program program = {
    .name = "shmframe-microphone",
    .purpose = "Streams what a sound device records as NAME (microphone).",
    .notes =
        "Requests (shmframe ask NAME VERB): pause, resume, quit, help.\n"
        "\n"
        "With a sound server, the device \"pulse\" is the server's default source, or the one\n"
        "that PULSE_SOURCE names: see \"pactl list short sources\".",
    .options = specs,
    .options2 = producer_option_specs,
};

struct microphone {
    struct producer producer;
    struct producer_stream *stream;
    struct sound_input input;
    struct adc_clock clock;
    int64_t taken;     /* samples read since the device was opened */
    int64_t delivered; /* those, and the ones that wait */
    int64_t looked_ns; /* when that was seen */
    int64_t began_ns;  /* when the device was opened */
    int64_t silent_ns; /* for how long no new ones came */
    struct shmframe_loan loan;
    bool is_lent;    /* loan counts */
    uint8_t *spare;  /* where samples go that get no slot */
    uint32_t filled; /* samples of the present block */
    int64_t missing; /* samples that the device lost since the last block */
};

/* Options. */

static void check_options(void) {
    producer_check_options();
    if (options.sample_rate > SAMPLE_RATE_MAX)
        program_fail_usage("--sample-rate should be %d at most", SAMPLE_RATE_MAX);
    if (options.channels > SHMFRAME_CHANNELS_MAX)
        program_fail_usage("--channels should be %d at most", SHMFRAME_CHANNELS_MAX);
    if (!sound_input_is_format(options.sample_format))
        program_fail_usage("--sample-format \"%s\" should be one of %s", options.sample_format,
                           sound_input_formats);
    if (options.block > SAMPLE_RATE_MAX)
        program_fail_usage("--block should be %d at most", SAMPLE_RATE_MAX);
    if (options.latency_ns > LATENCY_MAX_NS)
        program_fail_usage("--latency should be 10 seconds at most");
}

static int list_devices(void) {
    const enum report_format format = report_format_parse(producer_options.format);
    const bool is_there = sound_system_start();
    if (format == REPORT_JSON) {
        report_print_json(json_pack("{s:o}", "devices",
                                    is_there ? sound_device_list(SOUND_INPUT) : json_array()));
    } else {
        if (!is_there || !sound_device_print(SOUND_INPUT))
            program_warn("there is no input device");
        report_flush();
    }
    if (is_there)
        sound_system_stop();
    return EXIT_DONE;
}

/* The device. */

/* Has it done; false: asked to stop, or time is over, before it was. */
static bool do_job(struct microphone *microphone, enum sound_job job, int *out_result) {
    const int fd = sound_input_begin(&microphone->input, job);
    if (fd < 0)
        program_fail("no thread for the sound device: %s", strerror(-fd));
    for (;;) {
        const int64_t end_ns =
            job == SOUND_OPEN ? SHMFRAME_FOREVER : producer_end_ns(&microphone->producer);
        switch (producer_wait_for(&microphone->producer, fd, end_ns)) {
        case PRODUCER_STOP:
        case PRODUCER_DUE:
            return false;
        case PRODUCER_READY:
            *out_result = sound_input_end(&microphone->input);
            return true;
        case PRODUCER_ASKED:
            break;
        }
    }
}

/* A failure ends the program. False: asked to stop. */
static bool open_device(struct microphone *microphone) {
    int result;
    if (!do_job(microphone, SOUND_OPEN, &result))
        return false;
    if (result < 0)
        program_fail("%s", microphone->input.trouble);
    return true;
}

static void begin_device(struct microphone *microphone) {
    const struct shmframe_format *format = &microphone->input.format;
    free(microphone->spare);
    microphone->spare = malloc(format->slot_bytes);
    if (!microphone->spare)
        program_fail("no memory for a block of sound");
    adc_clock_open(&microphone->clock, format->audio.sample_rate);
    microphone->taken = 0;
    microphone->delivered = 0;
    microphone->began_ns = shmframe_now_ns();
    microphone->looked_ns = microphone->began_ns;
    microphone->silent_ns = 0;
}

static void count_missing(struct microphone *microphone, int64_t missing) {
    if (!microphone->producer.is_paused)
        microphone->missing += missing;
}

/* In blocks, rounded up once for all that is told together. */
static void tell_missing(struct microphone *microphone) {
    const uint32_t block = microphone->input.format.audio.samples_max;
    producer_count_dropped(microphone->stream,
                           (uint32_t)((microphone->missing + block - 1) / block));
    microphone->missing = 0;
}

static void drop_block(struct microphone *microphone) {
    if (microphone->is_lent)
        shmframe_writer_abandon(microphone->stream->writer, &microphone->loan);
    microphone->is_lent = false;
    microphone->filled = 0;
}

/* Tells that the device is gone, and tries until it is back. False: asked to stop. */
static bool revive_device(struct microphone *microphone) {
    struct sound_input *input = &microphone->input;
    const struct shmframe_format before = input->format;
    program_warn("%s is gone: %s; waiting for it to come back", input->name, input->trouble);
    count_missing(microphone, microphone->filled);
    drop_block(microphone);
    uint32_t tries = 0;
    int result = -EIO;
    while (result < 0)
        if (producer_wait_retry(&microphone->producer, &tries) == PRODUCER_STOP ||
            !do_job(microphone, SOUND_REOPEN, &result))
            return false;
    program_warn("%s is back", input->name);
    begin_device(microphone);
    microphone->missing =
        microphone->missing * input->format.audio.sample_rate / before.audio.sample_rate;
    return shmframe_format_is_equal(&before, &input->format) ||
           producer_set_format(microphone->stream, &input->format);
}

/* It may have gone since it was opened. False: asked to stop. */
static bool start_device(struct microphone *microphone) {
    int result;
    if (!do_job(microphone, SOUND_START, &result))
        return false;
    if (result < 0)
        return revive_device(microphone);
    begin_device(microphone);
    return true;
}

/* Blocks. */

static int64_t find_block_ns(const struct microphone *microphone) {
    const struct shmframe_audio_format *audio = &microphone->input.format.audio;
    return (int64_t)audio->samples_max * SECOND_NS / audio->sample_rate;
}

static void publish_block(struct microphone *microphone) {
    struct shmframe_loan *loan = &microphone->loan;
    const int64_t position =
        adc_clock_position(&microphone->clock, microphone->taken - microphone->filled);
    loan->frame.capture_ns = adc_clock_capture_ns(&microphone->clock, position);
    loan->frame.pts = position;
    loan->frame.duration = microphone->filled;
    loan->frame.samples = microphone->filled;
    tell_missing(microphone);
    producer_tell_dropped(microphone->stream, loan);
    producer_publish(microphone->stream, loan, false);
    microphone->is_lent = false;
    microphone->stream->clock_error_ns = microphone->clock.error_ns;
    const int64_t late_ns = loan->frame.publish_ns - loan->frame.capture_ns;
    if (late_ns > 2 * find_block_ns(microphone) + microphone->input.latency_ns)
        microphone->stream->overdue++;
}

/* Where the next samples go: a slot while there are any, and somebody may have them. */
static uint8_t *find_place(struct microphone *microphone) {
    if (microphone->filled == 0 && !microphone->producer.is_paused)
        microphone->is_lent =
            producer_loan(&microphone->producer, microphone->stream, &microphone->loan) == 0;
    return microphone->is_lent ? microphone->loan.data : microphone->spare;
}

/* Time in which we stood still ourselves is nobody's silence: who would hand samples over may not
 * have run either. */
static void count_silence(struct microphone *microphone, bool is_new, int64_t now_ns) {
    const int64_t since_ns = now_ns - microphone->looked_ns;
    microphone->silent_ns += since_ns < SILENCE_STEP_NS ? since_ns : SILENCE_STEP_NS;
    if (is_new)
        microphone->silent_ns = 0;
    microphone->looked_ns = now_ns;
}

/* ALSA's "null" and "file" have samples whenever they are asked. */
static void check_rate(const struct microphone *microphone, int64_t now_ns) {
    const uint32_t rate = microphone->input.format.audio.sample_rate;
    const int64_t seconds_max =
        (2 * (now_ns - microphone->began_ns) + AHEAD_MAX_NS) / SECOND_NS + 1;
    if (microphone->delivered > seconds_max * rate)
        program_fail("%s delivers samples far faster than its %u Hz: it is no real device; "
                     "--list shows others",
                     microphone->input.name, rate);
}

/* Looks how much there is now. Errors: -EIO. */
static int64_t look(struct microphone *microphone) {
    int64_t available = sound_input_available(&microphone->input);
    if (available == -EOVERFLOW) {
        adc_clock_overflow(&microphone->clock, microphone->taken);
        available = 0;
    }
    if (available < 0)
        return available;
    const int64_t now_ns = shmframe_now_ns(), delivered = microphone->taken + available;
    count_silence(microphone, delivered != microphone->delivered, now_ns);
    microphone->delivered = delivered;
    check_rate(microphone, now_ns);
    count_missing(microphone, adc_clock_observe(&microphone->clock, delivered, now_ns));
    return available;
}

/* The device lost samples before the last `count`, which were read behind those of the present
 * block: that one begins anew. */
static void begin_behind_gap(struct microphone *microphone, uint8_t *place, uint32_t count) {
    const uint32_t before = microphone->filled;
    count_missing(microphone, before);
    adc_clock_overflow(&microphone->clock, microphone->taken);
    sound_input_shift(&microphone->input, place, before, count);
    microphone->filled = 0;
}

/* Takes samples that are there, to the end of the block at most. Returns how many are left that
 * are known of. Errors: -EIO. */
static int64_t take_samples(struct microphone *microphone, int64_t available) {
    const uint32_t left = microphone->input.format.audio.samples_max - microphone->filled;
    const uint32_t count = available < left ? (uint32_t)available : left;
    uint8_t *place = find_place(microphone);
    const int result = sound_input_read(&microphone->input, place, microphone->filled, count);
    if (result == -EOVERFLOW)
        begin_behind_gap(microphone, place, count);
    else if (result < 0)
        return result;
    microphone->taken += count;
    microphone->filled += count;
    if (result == 0)
        return available - count;
    /* How many are missing is to be known before the block is told. What there is now may be no
     * less than before, for ever. */
    return look(microphone) < 0 ? -EIO : 0;
}

static void end_block(struct microphone *microphone) {
    if (microphone->filled < microphone->input.format.audio.samples_max)
        return;
    if (microphone->is_lent)
        publish_block(microphone);
    microphone->filled = 0;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
    return value < least ? least : value > most ? most : value;
}

/* When the present block is full, or if it should be already, when to look again; in any case
 * before the device's buffer is. */
static int64_t find_next_look_ns(const struct microphone *microphone) {
    const int64_t pause_ns =
        clamp(find_block_ns(microphone) / LOOKS_A_BLOCK, look_min_ns, look_max_ns);
    const int64_t most_ns = clamp(microphone->input.latency_ns / 2, pause_ns, SILENCE_STEP_NS);
    const int64_t now_ns = shmframe_now_ns();
    if (!microphone->clock.is_known)
        return now_ns + pause_ns;
    const int64_t last =
        microphone->taken - microphone->filled + microphone->input.format.audio.samples_max;
    const int64_t full_ns =
        adc_clock_capture_ns(&microphone->clock, adc_clock_position(&microphone->clock, last));
    return now_ns + clamp(full_ns - now_ns, pause_ns, most_ns);
}

/* Takes what is there at one look: who always has more is not to keep us from everything else.
 * False: the device is gone. */
static bool serve_device(struct microphone *microphone) {
    int64_t available = look(microphone);
    while (available > 0) {
        available = take_samples(microphone, available);
        end_block(microphone);
        if (producer_is_over(&microphone->producer))
            return true;
    }
    if (available < 0)
        return false;
    if (microphone->silent_ns < SILENCE_MAX_NS)
        return true;
    snprintf(microphone->input.trouble, sizeof(microphone->input.trouble),
             "it has delivered nothing for %d seconds", (int)(SILENCE_MAX_NS / SECOND_NS));
    return false;
}

static void run(struct microphone *microphone) {
    struct producer *producer = &microphone->producer;
    while (!producer_is_over(producer)) {
        const int64_t look_ns = find_next_look_ns(microphone), end_ns = producer_end_ns(producer);
        if (producer_wait_for(producer, -1, look_ns < end_ns ? look_ns : end_ns) == PRODUCER_STOP)
            break;
        if (producer->is_paused && microphone->is_lent)
            drop_block(microphone);
        if (!serve_device(microphone) && !revive_device(microphone))
            break;
    }
    drop_block(microphone);
    tell_missing(microphone);
}

int main(int argc, char **argv) {
    static struct microphone microphone;
    producer_options.stream = "microphone";
    program_start(&program, argc, argv);
    check_options();
    if (producer_options.is_listing)
        return list_devices();

    sound_system_prepare();
    const struct sound_wish wish = {
        .device = options.device,
        .sample_rate = options.sample_rate,
        .channels = options.channels,
        .block = options.block,
        .sample_format = options.sample_format,
        .latency_ns = options.latency_ns,
    };
    if (sound_input_init(&microphone.input, &wish) < 0)
        program_fail("no descriptor: %s", strerror(errno));
    adc_clock_init(&microphone.clock);
    producer_open(&microphone.producer, NULL, NULL);
    if (open_device(&microphone)) {
        const struct shmframe_writer_params params = {
            .stream = producer_options.stream,
            .group = producer_options.group,
            .format = microphone.input.format,
            .flags = SHMFRAME_WRITER_LIVE,
        };
        microphone.stream = producer_add(&microphone.producer, &params);
        if (microphone.stream && producer_start(&microphone.producer) && start_device(&microphone))
            run(&microphone);
    }
    if (microphone.stream && !microphone.clock.is_known && producer_is_over(&microphone.producer))
        program_warn("%s had delivered nothing when --duration was over", microphone.input.name);
    /* The device is not closed: a sound server that hangs would keep us, and the kernel does it. */
    return producer_finish(&microphone.producer);
}
