#include "pipe_in_header.h"

#include "wav.h"
#include "y4m.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <stdio.h>
#include <string.h>

enum { RATE_DEFAULT = 25, LOOK_BYTES = 96, MAGIC_BYTES = 12 };

enum pipe_in_kind pipe_in_kind_find(const char *name) {
    static const struct {
        const char *name;
        enum pipe_in_kind kind;
    } names[] = {
        {"y4m", PIPE_IN_Y4M}, {"wav", PIPE_IN_WAV}, {"raw", PIPE_IN_RAW}, {"nut", PIPE_IN_MEDIA}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].kind;
    return PIPE_IN_NONE;
}

/* Looking. */

/* Whether the samples of a wav are read as they are; others have to be decoded. */
static bool is_plain_wav(const uint8_t *bytes, int count) {
    struct wav_parser parser = {0};
    int at = 0;
    for (;;) {
        const int wanted = (int)wav_wanted(&parser);
        if (!wanted || at + wanted > count || parser.has_format)
            return true;
        if (wav_take(&parser, bytes + at, (uint32_t)wanted) == -ENOTSUP)
            return false;
        at += wanted;
    }
}

int pipe_in_header_look(struct pipe_in_input *input) {
    uint8_t bytes[LOOK_BYTES];
    int count = pipe_in_input_peek(input, bytes, MAGIC_BYTES, MAGIC_BYTES);
    if (count < 0)
        return count;
    if (count == 0)
        return -ENODATA;
    if (count < MAGIC_BYTES)
        return PIPE_IN_Y4M; /* too short for anything: its reader says so */
    if (memcmp(bytes, Y4M_MAGIC, strlen(Y4M_MAGIC)) == 0)
        return PIPE_IN_Y4M;
    const bool is_riff = memcmp(bytes, "RIFF", 4) == 0 || memcmp(bytes, "RF64", 4) == 0;
    if (!is_riff || memcmp(bytes + 8, "WAVE", 4) != 0)
        return PIPE_IN_MEDIA;
    count = pipe_in_input_peek(input, bytes, LOOK_BYTES, LOOK_BYTES);
    if (count < 0)
        return count;
    return is_plain_wav(bytes, count) ? PIPE_IN_WAV : PIPE_IN_MEDIA;
}

/* Raw frames. */

static void describe_pictures(const struct pipe_in_wanted *wanted, struct shmframe_format *format) {
    if (!wanted->size[0])
        program_fail_usage("raw pictures need --size");
    if (shmframe_format_video(format, wanted->pixel_format, wanted->size[0], wanted->size[1]) < 0)
        program_fail_usage("--pixel-format %s --size %ux%u: %s", wanted->pixel_format,
                           wanted->size[0], wanted->size[1], shmframe_last_error());
    const struct shmframe_rational rate =
        wanted->rate.num > 0 ? wanted->rate : (struct shmframe_rational){RATE_DEFAULT, 1};
    format->video.frame_rate = rate;
    format->time_base = (struct shmframe_rational){rate.den, rate.num};
}

static void describe_sound(const struct pipe_in_wanted *wanted, struct shmframe_format *format) {
    if (!wanted->channels || !wanted->sample_rate)
        program_fail_usage("raw sound needs --sample-rate and --channels");
    if (av_sample_fmt_is_planar(av_get_sample_fmt(wanted->sample_format)))
        program_fail_usage("--sample-format %s: raw sound is interleaved: %s",
                           wanted->sample_format,
                           av_get_sample_fmt_name(
                               av_get_packed_sample_fmt(av_get_sample_fmt(wanted->sample_format))));
    const uint32_t block = wanted->block ? wanted->block : wanted->sample_rate / 100;
    if (shmframe_format_audio(format, wanted->sample_format, wanted->channels, wanted->sample_rate,
                              block ? block : 1) < 0)
        program_fail_usage("--sample-format %s --channels %u: %s", wanted->sample_format,
                           wanted->channels, shmframe_last_error());
    format->time_base = (struct shmframe_rational){1, (int32_t)wanted->sample_rate};
}

void pipe_in_header_describe(const struct pipe_in_wanted *wanted,
                             struct shmframe_format *out_format) {
    if (wanted->pixel_format && wanted->sample_format)
        program_fail_usage("--pixel-format and --sample-format: raw frames are of one kind");
    if (!wanted->pixel_format && !wanted->sample_format)
        program_fail_usage("raw frames need --pixel-format and --size, or --sample-format, "
                           "--sample-rate and --channels");
    if (wanted->pixel_format)
        describe_pictures(wanted, out_format);
    else
        describe_sound(wanted, out_format);
}

/* Headers. */

static int read_bytes(struct pipe_in_input *input, void *data, size_t bytes) {
    struct iovec piece = {data, bytes};
    return pipe_in_input_read(input, &piece, 1, NULL);
}

int pipe_in_header_parse(struct pipe_in_header *header, const char *line, size_t length,
                         const struct pipe_in_wanted *wanted) {
    char why[Y4M_WHY_BYTES] = "";
    const int result = y4m_parse(line, length, &header->format, why);
    if (result < 0) {
        snprintf(header->why, sizeof(header->why), "%s", why);
        return result;
    }
    struct shmframe_video_format *video = &header->format.video;
    if (wanted->rate.num > 0)
        video->frame_rate = wanted->rate;
    if (video->frame_rate.num <= 0)
        video->frame_rate = (struct shmframe_rational){RATE_DEFAULT, 1};
    header->format.time_base =
        (struct shmframe_rational){video->frame_rate.den, video->frame_rate.num};
    return 0;
}

/* One byte at a time: what comes behind the line belongs into a slot. */
static int read_y4m(struct pipe_in_header *header, struct pipe_in_input *input,
                    const struct pipe_in_wanted *wanted) {
    char line[Y4M_LINE_MAX];
    size_t length = 0;
    do {
        const int result = read_bytes(input, &line[length], 1);
        if (result < 0)
            return result == -ENODATA && length ? -EPIPE : result;
        length++;
    } while (line[length - 1] != '\n' && length < sizeof(line));
    if (line[length - 1] == '\n')
        length--;
    return pipe_in_header_parse(header, line, length, wanted);
}

static int read_wav(struct pipe_in_header *header, struct pipe_in_input *input,
                    const struct pipe_in_wanted *wanted) {
    struct wav_parser parser = {.block_samples = wanted->block};
    uint8_t bytes[WAV_STEP_MAX];
    bool is_begun = false;
    for (uint32_t count; (count = wav_wanted(&parser)); is_begun = true) {
        int result = read_bytes(input, bytes, count);
        if (result < 0)
            return result == -ENODATA && is_begun ? -EPIPE : result;
        result = wav_take(&parser, bytes, count);
        if (result < 0) {
            snprintf(header->why, sizeof(header->why), "%s", parser.why);
            return result;
        }
    }
    header->format = parser.format;
    header->data_bytes = parser.data_bytes;
    /* A file that is large indeed: what comes behind the samples is none. */
    if (parser.told_bytes && pipe_in_input_left(input) >= parser.told_bytes)
        header->data_bytes = parser.told_bytes;
    return 0;
}

int pipe_in_header_read(struct pipe_in_header *header, struct pipe_in_input *input,
                        const struct pipe_in_wanted *wanted) {
    int result = 0;
    header->why[0] = '\0';
    header->data_bytes = UINT64_MAX;
    switch (header->kind) {
    case PIPE_IN_Y4M:
        result = read_y4m(header, input, wanted);
        break;
    case PIPE_IN_WAV:
        result = read_wav(header, input, wanted);
        break;
    case PIPE_IN_RAW:
        pipe_in_header_describe(wanted, &header->format);
        break;
    case PIPE_IN_NONE:
    case PIPE_IN_MEDIA:
        result = -ENOTSUP;
        break;
    }
    if (result == -EPIPE)
        snprintf(header->why, sizeof(header->why), "it ends within its header");
    else if (result < 0 && !header->why[0])
        snprintf(header->why, sizeof(header->why), "%s", strerror(-result));
    return result;
}
