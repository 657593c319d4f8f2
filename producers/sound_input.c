#include "sound_input.h"

#include "sound_device.h"
#include "sound_system.h"

#include <errno.h>
#include <shmframe/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct {
    const char *name;
    PaSampleFormat format;
    uint32_t bytes;
} sample_formats[] = {
    {"flt", paFloat32, 4},
    {"s16", paInt16, 2},
    {"s32", paInt32, 4},
    {"u8", paUInt8, 1},
};
const char sound_input_formats[] = "flt, s16, s32, u8, and with p behind them planar";

enum { SAMPLE_FORMATS = sizeof(sample_formats) / sizeof(sample_formats[0]) };
enum { RATE_USUAL = 48000, CHANNELS_USUAL = 2, BLOCKS_A_SECOND = 100 };

/* The row of `name`, planar or not; -1: none. */
static int find_format(const char *name, bool *out_is_planar) {
    for (int i = 0; i < SAMPLE_FORMATS; i++) {
        const size_t length = strlen(sample_formats[i].name);
        if (strncmp(name, sample_formats[i].name, length) != 0)
            continue;
        *out_is_planar = strcmp(name + length, "p") == 0;
        if (*out_is_planar || !name[length])
            return i;
    }
    return -1;
}

bool sound_input_is_format(const char *sample_format) {
    bool is_planar;
    return find_format(sample_format, &is_planar) >= 0;
}

int sound_input_init(struct sound_input *input, const struct sound_wish *wish) {
    const int done_fd = eventfd(0, EFD_CLOEXEC);
    if (done_fd < 0)
        return -errno;
    *input = (struct sound_input){.wish = *wish, .done_fd = done_fd};
    return 0;
}

/* Opening. */

static const char *explain(PaError error) {
    if (error == paUnanticipatedHostError) {
        const PaHostErrorInfo *info = Pa_GetLastHostErrorInfo();
        if (info && info->errorText && *info->errorText)
            return info->errorText;
    }
    return Pa_GetErrorText(error);
}

static PaStreamParameters describe_wish(const struct sound_input *input, int device) {
    const PaDeviceInfo *info = Pa_GetDeviceInfo(device);
    const struct sound_wish *wish = &input->wish;
    bool is_planar;
    const int format = find_format(wish->sample_format, &is_planar);
    const int usual =
        info->maxInputChannels < CHANNELS_USUAL ? info->maxInputChannels : CHANNELS_USUAL;
    return (PaStreamParameters){
        .device = device,
        .channelCount = wish->channels ? (int)wish->channels : usual,
        .sampleFormat = sample_formats[format].format | (is_planar ? paNonInterleaved : 0),
        .suggestedLatency =
            wish->latency_ns ? (double)wish->latency_ns / 1e9 : info->defaultHighInputLatency,
    };
}

/* What the device takes of the rates that are in use. */
static void tell_rates(struct sound_input *input, const PaStreamParameters *parameters,
                       uint32_t refused) {
    static const uint32_t rates[] = {8000,  11025, 16000, 22050, 24000,  32000,
                                     44100, 48000, 88200, 96000, 176400, 192000};
    size_t used = (size_t)snprintf(input->trouble, sizeof(input->trouble),
                                   "%s does not take %u Hz; it takes:", input->name, refused);
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
        if (Pa_IsFormatSupported(parameters, NULL, rates[i]) == paFormatIsSupported)
            used += (size_t)snprintf(input->trouble + used, sizeof(input->trouble) - used, " %u",
                                     rates[i]);
}

static void tell_refusal(struct sound_input *input, const PaStreamParameters *parameters,
                         uint32_t rate, PaError error) {
    const int channels = Pa_GetDeviceInfo(parameters->device)->maxInputChannels;
    if (parameters->channelCount > channels)
        snprintf(input->trouble, sizeof(input->trouble), "%s has %d channels, not %d", input->name,
                 channels, parameters->channelCount);
    else if (error == paInvalidSampleRate)
        tell_rates(input, parameters, rate);
    else if (error == paDeviceUnavailable)
        snprintf(input->trouble, sizeof(input->trouble),
                 "%s is busy: another program has it; --list shows others", input->name);
    else
        snprintf(input->trouble, sizeof(input->trouble), "%s cannot be opened: %s", input->name,
                 explain(error));
}

/* The rate that was asked for, or else the usual one, or else the device's own. */
static PaError open_stream(struct sound_input *input, const PaStreamParameters *parameters,
                           uint32_t *out_rate) {
    const uint32_t wanted = input->wish.sample_rate;
    const uint32_t own = (uint32_t)Pa_GetDeviceInfo(parameters->device)->defaultSampleRate;
    *out_rate = wanted ? wanted : RATE_USUAL;
    PaError error = Pa_OpenStream(&input->stream, parameters, NULL, *out_rate,
                                  paFramesPerBufferUnspecified, paNoFlag, NULL, NULL);
    if (error == paInvalidSampleRate && !wanted && own != RATE_USUAL) {
        *out_rate = own;
        error = Pa_OpenStream(&input->stream, parameters, NULL, own, paFramesPerBufferUnspecified,
                              paNoFlag, NULL, NULL);
    }
    return error;
}

static int describe(struct sound_input *input, const PaStreamParameters *parameters,
                    uint32_t rate) {
    const struct sound_wish *wish = &input->wish;
    const int row = find_format(wish->sample_format, &input->is_planar);
    input->sample_bytes = sample_formats[row].bytes;
    const uint32_t usual = rate / BLOCKS_A_SECOND ? rate / BLOCKS_A_SECOND : 1;
    if (shmframe_format_audio(&input->format, wish->sample_format,
                              (uint32_t)parameters->channelCount, rate,
                              wish->block ? wish->block : usual) < 0) {
        snprintf(input->trouble, sizeof(input->trouble), "%s: blocks of %u samples at %u Hz: %s",
                 input->name, wish->block, rate, shmframe_last_error());
        return -EIO;
    }
    input->format.time_base = (struct shmframe_rational){1, (int32_t)rate};
    input->latency_ns = (int64_t)(Pa_GetStreamInfo(input->stream)->inputLatency * 1e9);
    return 0;
}

static int find_device(struct sound_input *input) {
    if (input->job == SOUND_REOPEN) {
        const int device =
            sound_device_find_again(SOUND_INPUT, input->wish.device, input->name, input->system);
        snprintf(input->trouble, sizeof(input->trouble), "%s is not there", input->name);
        return device;
    }
    return sound_device_find(SOUND_INPUT, input->wish.device, input->trouble,
                             sizeof(input->trouble));
}

static int open_input(struct sound_input *input) {
    if (!input->has_system && !sound_system_start()) {
        snprintf(input->trouble, sizeof(input->trouble),
                 "there is no sound system: neither ALSA nor another one knows any device");
        return -EIO;
    }
    input->has_system = true;
    const int device = find_device(input);
    if (device < 0)
        return -EIO;
    const PaDeviceInfo *info = Pa_GetDeviceInfo(device);
    snprintf(input->name, sizeof(input->name), "%s", info->name);
    input->system = Pa_GetHostApiInfo(info->hostApi)->type;
    const PaStreamParameters parameters = describe_wish(input, device);
    uint32_t rate;
    const PaError error = open_stream(input, &parameters, &rate);
    if (error != paNoError) {
        input->stream = NULL;
        tell_refusal(input, &parameters, rate, error);
        return -EIO;
    }
    return describe(input, &parameters, rate);
}

static int start_input(struct sound_input *input) {
    const PaError error = Pa_StartStream(input->stream);
    if (error == paNoError)
        return 0;
    snprintf(input->trouble, sizeof(input->trouble), "%s does not start: %s", input->name,
             explain(error));
    return -EIO;
}

static void close_input(struct sound_input *input) {
    if (input->stream)
        Pa_CloseStream(input->stream);
    input->stream = NULL;
    /* PortAudio looks for devices only in its beginning. */
    if (input->has_system)
        sound_system_stop();
    input->has_system = false;
}

/* Jobs. */

static int run_job(struct sound_input *input) {
    switch (input->job) {
    case SOUND_OPEN:
        return open_input(input);
    case SOUND_START:
        return start_input(input);
    case SOUND_REOPEN:
        break;
    }
    close_input(input);
    const int result = open_input(input);
    return result < 0 ? result : start_input(input);
}

static void *run_thread(void *user) {
    struct sound_input *input = user;
    sound_system_hush();
    input->result = run_job(input);
    sound_system_unhush();
    eventfd_write(input->done_fd, 1);
    return NULL;
}

int sound_input_begin(struct sound_input *input, enum sound_job job) {
    input->job = job;
    sound_system_prepare();
    const int error = pthread_create(&input->thread, NULL, run_thread, input);
    return error ? -error : input->done_fd;
}

int sound_input_end(struct sound_input *input) {
    eventfd_t value;
    pthread_join(input->thread, NULL);
    eventfd_read(input->done_fd, &value);
    return input->result;
}

/* Samples. */

static int tell_error(struct sound_input *input, PaError error) {
    if (error == paInputOverflowed)
        return -EOVERFLOW;
    snprintf(input->trouble, sizeof(input->trouble), "%s", explain(error));
    return -EIO;
}

int64_t sound_input_available(struct sound_input *input) {
    sound_system_hush();
    const signed long available = Pa_GetStreamReadAvailable(input->stream);
    sound_system_unhush();
    return available >= 0 ? available : tell_error(input, (PaError)available);
}

/* From one sample to the next in a plane. */
static size_t find_step(const struct sound_input *input) {
    return input->is_planar ? input->sample_bytes
                            : (size_t)input->sample_bytes * input->format.audio.channels;
}

int sound_input_read(struct sound_input *input, uint8_t *slot, uint32_t offset, uint32_t count) {
    void *planes[SHMFRAME_PLANES_MAX];
    for (uint32_t i = 0; i < input->format.plane_count; i++)
        planes[i] = slot + input->format.plane[i].offset + offset * find_step(input);
    sound_system_hush();
    const PaError error =
        Pa_ReadStream(input->stream, input->is_planar ? (void *)planes : planes[0], count);
    sound_system_unhush();
    return error == paNoError ? 0 : tell_error(input, error);
}

void sound_input_shift(const struct sound_input *input, uint8_t *slot, uint32_t offset,
                       uint32_t count) {
    const size_t step = find_step(input);
    for (uint32_t i = 0; i < input->format.plane_count; i++) {
        uint8_t *plane = slot + input->format.plane[i].offset;
        memmove(plane, plane + offset * step, count * step);
    }
}
