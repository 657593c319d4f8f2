#include "speaker.h"

#include "sound_device.h"
#include "sound_system.h"
#include "sync.h"
#include <dlfcn.h>
#include <errno.h>
#include <portaudio.h>
#include <pthread.h>
#include <shmframe/clock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPORTS = 256, /* a power of two; at 1 ms a buffer a quarter of a second */
};
/* A thread that other programs keep from running for so long is still in time. */
static const double suggested_latency_s = 0.06;
static const double rate_wanted_hz = 48000;
enum { CHANNELS_WANTED = 2 };
/* Taken since the start, as a multiple of what fits into the device. */
enum { WARM_FACTOR = 3 };
static const uint32_t queue_seconds = 5;
static const int64_t null_period_ns = 5000000;
static const int64_t null_catch_up_ns = 500000000;

struct speaker {
    pthread_t opener;
    bool is_opening; /* there is such a thread; all but wishes and reports is its */
    /* writer: the opener at its end; reader: our thread; O1 release -> O2 acquire, guards what it
     * has opened. */
    atomic_bool is_opened;
    int error; /* what came of it */

    bool has_portaudio;
    bool was_heard;              /* there was a device: it may come back */
    const char *wanted;          /* NULL: the default device */
    char name[SOUND_NAME_BYTES]; /* of the device that was found for it; "": none yet */
    PaHostApiTypeId system;
    bool is_replaced;
    PaStream *stream; /* NULL: null device */
    uint32_t rate_hz;
    uint32_t channels;
    int64_t latency_ns;
    int64_t null_next_ns; /* when the null device takes its next buffer */
    char trouble[400];
    struct samples queue;

    /* Wishes of our thread, read by the taking one; they guard nothing. */
    alignas(64) _Atomic uint32_t prime_frames;
    _Atomic float gain;

    /* Written by the taking thread. `taken` and `underflows` guard nothing. */
    alignas(64) _Atomic uint64_t taken; /* frames, silence included */
    float gain_before; /* at the end of the last buffer; only the taking thread's */
    _Atomic uint32_t underflows;
    atomic_bool is_playing; /* guards nothing: for show and for decisions that may be late */
    /* Reports left so far.
     * writer   the taking thread, report()       reader  our thread, speaker_next_report()
     * order    R1 release store -> N1 acquire load guards the reports below */
    _Atomic uint32_t reports;
    struct speaker_report report[REPORTS];

    /* Reports read. writer: our thread; reader: the taking one; N2 release -> R2 acquire. */
    alignas(64) _Atomic uint32_t reports_read;
};

/* ---- The taking thread ---- */

static void leave_report(struct speaker *speaker, const struct speaker_report *report) {
    const uint32_t count = atomic_load_explicit(&speaker->reports, memory_order_relaxed);
    /* R2: a report that was read may be overwritten. */
    if (count - atomic_load_explicit(&speaker->reports_read, memory_order_acquire) == REPORTS) {
        return; /* nobody reads them at the moment; the next ones say the same */
    }
    speaker->report[count % REPORTS] = *report;
    /* R1 -> N1: the report before the count. */
    atomic_store_explicit(&speaker->reports, count + 1, memory_order_release);
}

/* From the gain of before to that of now, over the buffer. */
static void apply_gain(struct speaker *speaker, float *out, uint32_t frames) {
    const float gain = atomic_load_explicit(&speaker->gain, memory_order_relaxed);
    const float before = speaker->gain_before;
    const uint32_t channels = speaker->queue.channels;
    speaker->gain_before = gain;
    if (gain == 1 && before == 1) {
        return;
    }
    if (gain == 0 && before == 0) {
        memset(out, 0, (size_t)frames * channels * sizeof(float));
        return;
    }
    for (uint32_t i = 0; i < frames; i++) {
        const float now = before + (gain - before) * (float)(i + 1) / (float)frames;
        for (uint32_t c = 0; c < channels; c++) {
            out[(size_t)i * channels + c] *= now;
        }
    }
}

/* Takes `frames` frames for a buffer that is heard from `heard_ns` on; `out` NULL: nobody hears it.
 */
static void take(struct speaker *speaker, float *out, uint32_t frames, int64_t heard_ns) {
    struct samples *const queue = &speaker->queue;
    bool is_playing = atomic_load_explicit(&speaker->is_playing, memory_order_relaxed);
    if (!is_playing) {
        const uint32_t prime = atomic_load_explicit(&speaker->prime_frames, memory_order_relaxed);
        is_playing = prime > 0 && samples_fill(queue) >= prime;
    }
    uint32_t taken = 0;
    if (is_playing) {
        struct speaker_report report = {.position = samples_tail(queue), .heard_ns = heard_ns};
        taken = samples_take(queue, out, frames);
        report.left = samples_fill(queue);
        report.is_dry = taken < frames;
        is_playing = !report.is_dry;
        leave_report(speaker, &report);
    }
    atomic_store_explicit(&speaker->is_playing, is_playing, memory_order_relaxed);
    if (!out) {
        return;
    }
    const size_t channels = queue->channels;
    memset(out + taken * channels, 0, (frames - taken) * channels * sizeof(float));
    apply_gain(speaker, out, frames);
}

static int call_back(const void *input, void *output, unsigned long frames,
                     const PaStreamCallbackTimeInfo *time, PaStreamCallbackFlags flags,
                     void *user) {
    (void)input;
    struct speaker *const speaker = user;
    if ((flags & paOutputUnderflow) && speaker_is_playing(speaker)) {
        atomic_fetch_add_explicit(&speaker->underflows, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&speaker->taken, frames, memory_order_relaxed);
    const int64_t heard_ns = sync_heard_ns(shmframe_now_ns(), time->currentTime,
                                           time->outputBufferDacTime, speaker->latency_ns);
    take(speaker, output, (uint32_t)frames, heard_ns);
    return paContinue;
}

/* ---- Opening ---- */

int speaker_create(const char *device, struct speaker **out_speaker) {
    struct speaker *const speaker = aligned_alloc(64, (sizeof *speaker + 63) / 64 * 64);
    if (!speaker) {
        return -ENOMEM;
    }
    memset(speaker, 0, sizeof *speaker);
    speaker->wanted = device;
    speaker->gain = speaker->gain_before = 1;
    *out_speaker = speaker;
    return 0;
}

static void close_device(struct speaker *speaker) {
    if (speaker->stream) {
        /* Plays what the device has; closing alone would throw it away. */
        Pa_StopStream(speaker->stream);
        Pa_CloseStream(speaker->stream);
        speaker->stream = NULL;
    }
    samples_finish(&speaker->queue);
    atomic_store_explicit(&speaker->is_playing, false, memory_order_relaxed);
    atomic_store_explicit(&speaker->reports_read,
                          atomic_load_explicit(&speaker->reports, memory_order_acquire),
                          memory_order_release);
}

/* A call-back that comes in time is worth more than a fair share of the processor. Where the user
 * is not allowed to ask for that, PortAudio goes on without. */
static void ask_for_promptness(PaStream *stream) {
    typedef void alsa_enabler(PaStream *, int is_enabled);
    alsa_enabler *const enable =
        (alsa_enabler *)dlsym(RTLD_DEFAULT, "PaAlsa_EnableRealtimeScheduling");
    const PaHostApiInfo *const api = Pa_GetHostApiInfo(Pa_GetDefaultHostApi());
    if (enable && api && api->type == paALSA) {
        enable(stream, 1);
    }
}

/* Opens a device; the queue is made for it first, since the call-back uses it. */
static int try_device(struct speaker *speaker, PaDeviceIndex index, uint32_t rate_hz,
                      uint32_t channels) {
    const PaDeviceInfo *const device = Pa_GetDeviceInfo(index);
    const PaStreamParameters parameters = {
        .device = index,
        .channelCount = (int)channels,
        .sampleFormat = paFloat32,
        .suggestedLatency = device->defaultLowOutputLatency > suggested_latency_s
                                ? device->defaultLowOutputLatency
                                : suggested_latency_s,
    };
    const int error = samples_init(&speaker->queue, channels, queue_seconds * rate_hz);
    if (error) {
        return error;
    }
    PaError result = Pa_OpenStream(&speaker->stream, NULL, &parameters, rate_hz,
                                   paFramesPerBufferUnspecified, paNoFlag, call_back, speaker);
    if (result == paNoError) {
        const PaStreamInfo *const info = Pa_GetStreamInfo(speaker->stream);
        speaker->latency_ns = (int64_t)(info->outputLatency * 1e9);
        speaker->rate_hz = rate_hz;
        speaker->channels = channels;
        ask_for_promptness(speaker->stream);
        result = Pa_StartStream(speaker->stream);
    }
    if (result != paNoError) {
        close_device(speaker);
        snprintf(speaker->trouble, sizeof speaker->trouble, "sound device \"%s\": %s", device->name,
                 Pa_GetErrorText(result));
        return -ENOTSUP;
    }
    speaker->trouble[0] = '\0';
    return 0;
}

/* What is wanted, then what the device prefers. */
static int open_in_any_way(struct speaker *speaker, PaDeviceIndex index) {
    const PaDeviceInfo *const device = Pa_GetDeviceInfo(index);
    if (!device || device->maxOutputChannels < 1) {
        snprintf(speaker->trouble, sizeof speaker->trouble, "no sound device");
        return -ENOTSUP;
    }
    const uint32_t rates[] = {(uint32_t)rate_wanted_hz, (uint32_t)device->defaultSampleRate};
    const uint32_t counts[] = {CHANNELS_WANTED, 1};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            if (counts[c] > (uint32_t)device->maxOutputChannels) {
                continue;
            }
            const int error = try_device(speaker, index, rates[r], counts[c]);
            if (error != -ENOTSUP) {
                return error;
            }
        }
    }
    return -ENOTSUP;
}

/* The device that was chosen: by what it was called, once it was found. Negative: it is not there.
 */
static PaDeviceIndex find_chosen(struct speaker *speaker) {
    if (speaker->name[0] != '\0') {
        return sound_device_find_again(SOUND_OUTPUT, speaker->wanted, speaker->name,
                                       speaker->system);
    }
    const PaDeviceIndex index =
        sound_device_find(SOUND_OUTPUT, speaker->wanted, speaker->trouble, sizeof speaker->trouble);
    if (index >= 0) {
        const PaDeviceInfo *const info = Pa_GetDeviceInfo(index);
        snprintf(speaker->name, sizeof speaker->name, "%s", info->name);
        speaker->system = Pa_GetHostApiInfo(info->hostApi)->type;
    }
    return index;
}

static int open_any_device(struct speaker *speaker) {
    if (!speaker->has_portaudio) {
        snprintf(speaker->trouble, sizeof speaker->trouble, "no sound device");
        return -ENOTSUP;
    }
    if (!speaker->wanted) {
        return open_in_any_way(speaker, Pa_GetDefaultOutputDevice());
    }
    const bool is_first = speaker->name[0] == '\0';
    const PaDeviceIndex index = find_chosen(speaker);
    const int error = index >= 0 ? open_in_any_way(speaker, index) : -ENOTSUP;
    speaker->is_replaced = error == -ENOTSUP && !is_first;
    return speaker->is_replaced ? open_in_any_way(speaker, Pa_GetDefaultOutputDevice()) : error;
}

static int open_null_device(struct speaker *speaker) {
    speaker->rate_hz = (uint32_t)rate_wanted_hz;
    speaker->channels = CHANNELS_WANTED;
    speaker->latency_ns = 0;
    speaker->null_next_ns = shmframe_now_ns();
    return samples_init(&speaker->queue, speaker->channels, queue_seconds * speaker->rate_hz);
}

/* PortAudio looks for devices only in its beginning. */
static void stop_sound_system(struct speaker *speaker) {
    if (speaker->has_portaudio) {
        sound_system_stop();
    }
    speaker->has_portaudio = false;
}

static int replace_device(struct speaker *speaker) {
    close_device(speaker);
    stop_sound_system(speaker);
    atomic_store_explicit(&speaker->taken, 0, memory_order_relaxed);
    speaker->has_portaudio = sound_system_start();
    const int error = open_any_device(speaker);
    speaker->was_heard |= speaker->stream != NULL;
    return error == -ENOTSUP ? open_null_device(speaker) : error;
}

static void *run_opener(void *user) {
    struct speaker *const speaker = user;
    sound_system_hush();
    speaker->error = replace_device(speaker);
    sound_system_unhush();
    /* O1 -> O2: the device before the word that there is one. */
    atomic_store_explicit(&speaker->is_opened, true, memory_order_release);
    return NULL;
}

/* ---- Our thread ---- */

int speaker_open(struct speaker *speaker) {
    sigset_t all, before;
    sigfillset(&all);
    atomic_store_explicit(&speaker->is_opened, false, memory_order_relaxed);
    /* Signals are for the program's own thread; those of PortAudio and below inherit this. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    sound_system_prepare();
    const int error = pthread_create(&speaker->opener, NULL, run_opener, speaker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    speaker->is_opening = !error;
    return -error;
}

static int finish_opening(struct speaker *speaker) {
    if (speaker->is_opening) {
        pthread_join(speaker->opener, NULL);
        speaker->is_opening = false;
    }
    return speaker->error;
}

int speaker_finish_opening(struct speaker *speaker) {
    /* O2: whoever reads this sees the device. */
    return atomic_load_explicit(&speaker->is_opened, memory_order_acquire) ? finish_opening(speaker)
                                                                           : -EAGAIN;
}

void speaker_destroy(struct speaker *speaker) {
    if (!speaker) {
        return;
    }
    finish_opening(speaker);
    sound_system_hush();
    close_device(speaker);
    stop_sound_system(speaker);
    sound_system_unhush();
    free(speaker);
}

bool speaker_is_warm(const struct speaker *speaker) {
    const int64_t taken_ns =
        (int64_t)((double)atomic_load_explicit(&speaker->taken, memory_order_relaxed) * 1e9 /
                  speaker->rate_hz);
    return !speaker->stream || taken_ns >= WARM_FACTOR * speaker->latency_ns;
}

uint32_t speaker_underflows(const struct speaker *speaker) {
    return atomic_load_explicit(&speaker->underflows, memory_order_relaxed);
}

uint32_t speaker_rate_hz(const struct speaker *speaker) {
    return speaker->rate_hz;
}

uint32_t speaker_channels(const struct speaker *speaker) {
    return speaker->channels;
}

bool speaker_is_replaced(const struct speaker *speaker) {
    return speaker->is_replaced;
}

const char *speaker_trouble(const struct speaker *speaker) {
    return speaker->trouble[0] != '\0' ? speaker->trouble : NULL;
}

int64_t speaker_latency_ns(const struct speaker *speaker) {
    return speaker->latency_ns;
}

struct samples *speaker_queue(struct speaker *speaker) {
    return &speaker->queue;
}

void speaker_set_prime(struct speaker *speaker, uint32_t frames) {
    atomic_store_explicit(&speaker->prime_frames, frames, memory_order_relaxed);
}

bool speaker_is_playing(const struct speaker *speaker) {
    return atomic_load_explicit(&speaker->is_playing, memory_order_relaxed);
}

void speaker_set_gain(struct speaker *speaker, float gain) {
    atomic_store_explicit(&speaker->gain, gain, memory_order_relaxed);
}

void speaker_advance(struct speaker *speaker, int64_t now_ns) {
    if (speaker->stream || !speaker->queue.data) {
        return;
    }
    if (now_ns - speaker->null_next_ns > null_catch_up_ns) {
        speaker->null_next_ns = now_ns;
    }
    const uint32_t period = (uint32_t)(speaker->rate_hz * null_period_ns / 1000000000);
    const uint32_t frames = period > 0 ? period : 1;
    while (speaker->null_next_ns <= now_ns) {
        take(speaker, NULL, frames, speaker->null_next_ns);
        speaker->null_next_ns += (int64_t)frames * 1000000000 / speaker->rate_hz;
    }
}

bool speaker_is_alive(struct speaker *speaker) {
    return speaker->stream ? Pa_IsStreamActive(speaker->stream) == 1 : !speaker->was_heard;
}

bool speaker_next_report(struct speaker *speaker, struct speaker_report *out_report) {
    const uint32_t read = atomic_load_explicit(&speaker->reports_read, memory_order_relaxed);
    /* N1: reports below the count are whole. */
    if (read == atomic_load_explicit(&speaker->reports, memory_order_acquire)) {
        return false;
    }
    *out_report = speaker->report[read % REPORTS];
    /* N2 -> R2: copied before given back. */
    atomic_store_explicit(&speaker->reports_read, read + 1, memory_order_release);
    return true;
}
