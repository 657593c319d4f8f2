#include "wav.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/intreadwrite.h>
#include <shmframe/error.h>
#include <stdio.h>
#include <string.h>

enum {
    TAG_PCM = 1,
    TAG_FLOAT = 3,
    TAG_EXTENSIBLE = 0xfffe,
    FMT_BYTES = 16,          /* of PCM; */
    FMT_EXTENDED_BYTES = 18, /* all else tells how long its extension is, be it 0 */
    FMT_EXTENSIBLE_BYTES = 40,
    EXTENSION_BYTES = 22,
    OPEN_BYTES = 0x7ffff000,
};

/* Behind the two bytes of the tag: KSDATAFORMAT_SUBTYPE_... */
static const uint8_t subtype_tail[14] = {0, 0, 0,    0, 0x10, 0,    0x80,
                                         0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};

static const struct samples {
    const char *name;
    uint16_t tag, bits;
} table[] = {
    {"u8", TAG_PCM, 8},   {"s16", TAG_PCM, 16},   {"s32", TAG_PCM, 32},
    {"s64", TAG_PCM, 64}, {"flt", TAG_FLOAT, 32}, {"dbl", TAG_FLOAT, 64},
};
enum { ROWS = sizeof(table) / sizeof(table[0]) };

static const struct samples *find_samples(const char *name) {
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

bool wav_can_carry(const char *sample_format) {
    return find_samples(sample_format) != NULL;
}

/* One bit for each loudspeaker, as libavutil numbers them too; 0: no order. */
static uint32_t find_mask(const struct shmframe_audio_format *audio) {
    AVChannelLayout layout = {0};
    uint32_t mask = 0;
    if (audio->channel_layout[0] &&
        av_channel_layout_from_string(&layout, audio->channel_layout) == 0 &&
        layout.order == AV_CHANNEL_ORDER_NATIVE && layout.u.mask <= UINT32_MAX)
        mask = (uint32_t)layout.u.mask;
    av_channel_layout_uninit(&layout);
    return mask;
}

static uint8_t *put(uint8_t *at, const char *name) {
    memcpy(at, name, 4);
    return at + 4;
}
static uint8_t *put16(uint8_t *at, uint32_t value) {
    AV_WL16(at, value);
    return at + 2;
}
static uint8_t *put32(uint8_t *at, uint32_t value) {
    AV_WL32(at, value);
    return at + 4;
}

int wav_print(const struct shmframe_format *format, uint8_t out_header[WAV_HEADER_MAX]) {
    const struct shmframe_audio_format *audio = &format->audio;
    const struct samples *samples = find_samples(audio->sample_format);
    if (!samples)
        return -ENOTSUP;
    const uint32_t mask = find_mask(audio);
    /* Of one or two channels nobody asks where they belong. */
    const bool is_simple =
        audio->channels <= 2 &&
        (!mask || mask == (audio->channels == 1 ? AV_CH_LAYOUT_MONO : AV_CH_LAYOUT_STEREO));
    const uint32_t frame_bytes = audio->channels * samples->bits / 8;
    uint8_t *at = put(out_header, "RIFF");
    at = put32(at, UINT32_MAX);
    at = put(put(at, "WAVE"), "fmt ");
    at = put32(at, !is_simple                ? FMT_EXTENSIBLE_BYTES
                   : samples->tag == TAG_PCM ? FMT_BYTES
                                             : FMT_EXTENDED_BYTES);
    at = put16(at, is_simple ? samples->tag : TAG_EXTENSIBLE);
    at = put16(at, audio->channels);
    at = put32(at, audio->sample_rate);
    at = put32(at, (uint32_t)((uint64_t)audio->sample_rate * frame_bytes));
    at = put16(at, frame_bytes);
    at = put16(at, samples->bits);
    if (!is_simple) {
        at = put16(put16(at, EXTENSION_BYTES), samples->bits);
        at = put16(put32(at, mask), samples->tag);
        memcpy(at, subtype_tail, sizeof(subtype_tail));
        at += sizeof(subtype_tail);
    } else if (samples->tag != TAG_PCM) {
        at = put16(at, 0);
    }
    at = put32(put(at, "data"), UINT32_MAX);
    return (int)(at - out_header);
}

/* Reading. */

static int refuse(struct wav_parser *parser, int error, const char *why) {
    snprintf(parser->why, sizeof(parser->why), "%s", why);
    return error;
}

uint32_t wav_wanted(const struct wav_parser *parser) {
    switch (parser->state) {
    case WAV_RIFF:
        return 12;
    case WAV_CHUNK:
        return 8;
    case WAV_FORMAT:
    case WAV_SKIP:
        return parser->left < WAV_STEP_MAX ? (uint32_t)parser->left : WAV_STEP_MAX;
    case WAV_DATA:
        return 0;
    }
    return 0;
}

static int take_riff(struct wav_parser *parser, const uint8_t *bytes) {
    parser->is_rf64 = memcmp(bytes, "RF64", 4) == 0;
    if ((!parser->is_rf64 && memcmp(bytes, "RIFF", 4) != 0) || memcmp(bytes + 8, "WAVE", 4) != 0)
        return refuse(parser, -EINVAL, "it does not begin with RIFF and WAVE");
    parser->state = WAV_CHUNK;
    return 0;
}

static int take_chunk(struct wav_parser *parser, const uint8_t *bytes) {
    const uint32_t size = AV_RL32(bytes + 4);
    parser->left = (uint64_t)size + (size & 1);
    if (memcmp(bytes, "data", 4) == 0) {
        if (!parser->has_format)
            return refuse(parser, -EINVAL,
                          "its samples come before \"fmt \", which tells what they are");
        /* Programs that cannot go back write what they do not know as 0, or as the largest that
         * they have: sox something from 0x7ffff000 on. RF64 tells it elsewhere. */
        const bool is_open = size == 0 || size >= OPEN_BYTES || parser->is_rf64;
        parser->told_bytes = size;
        parser->data_bytes = is_open ? UINT64_MAX : size;
        parser->state = WAV_DATA;
        return 0;
    }
    if (memcmp(bytes, "fmt ", 4) != 0) {
        parser->state = parser->left ? WAV_SKIP : WAV_CHUNK;
        return 0;
    }
    if (parser->has_format)
        return refuse(parser, -EINVAL, "it has \"fmt \" twice");
    if (size < FMT_BYTES || size > WAV_STEP_MAX)
        return refuse(parser, -EINVAL, "the size of \"fmt \" makes no sense");
    parser->state = WAV_FORMAT;
    return 0;
}

static const struct samples *find_by_tag(uint16_t tag, uint16_t bits) {
    for (int i = 0; i < ROWS; i++)
        if (table[i].tag == tag && table[i].bits == bits)
            return &table[i];
    return NULL;
}

static void describe_layout(struct shmframe_audio_format *audio, uint32_t mask) {
    AVChannelLayout layout = {0};
    audio->channel_layout[0] = '\0';
    if (av_channel_layout_from_mask(&layout, mask) == 0 &&
        layout.nb_channels == (int)audio->channels)
        av_channel_layout_describe(&layout, audio->channel_layout, sizeof(audio->channel_layout));
    av_channel_layout_uninit(&layout);
}

static int take_format(struct wav_parser *parser, const uint8_t *bytes, uint32_t count) {
    uint16_t tag = AV_RL16(bytes);
    const uint16_t channels = AV_RL16(bytes + 2), bits = AV_RL16(bytes + 14);
    const uint32_t rate = AV_RL32(bytes + 4);
    const bool is_extensible = tag == TAG_EXTENSIBLE && count >= FMT_EXTENSIBLE_BYTES;
    if (is_extensible && memcmp(bytes + 26, subtype_tail, sizeof(subtype_tail)) == 0)
        tag = AV_RL16(bytes + 24);
    const struct samples *samples = find_by_tag(tag, bits);
    if (!samples) {
        snprintf(parser->why, sizeof(parser->why),
                 "samples of the kind %u with %u bits are not read here, shmframe-media plays them",
                 tag, bits);
        return -ENOTSUP;
    }
    if (AV_RL16(bytes + 12) != channels * bits / 8)
        return refuse(parser, -EINVAL, "its block size does not fit its channels and bits");
    const uint32_t block = parser->block_samples ? parser->block_samples : rate / 100;
    const int result =
        shmframe_format_audio(&parser->format, samples->name, channels, rate, block ? block : 1);
    if (result < 0) {
        snprintf(parser->why, sizeof(parser->why), "%.150s", shmframe_last_error());
        return result;
    }
    parser->format.time_base = (struct shmframe_rational){1, (int32_t)rate};
    if (is_extensible)
        describe_layout(&parser->format.audio, AV_RL32(bytes + 20));
    parser->has_format = true;
    parser->state = WAV_CHUNK;
    return 0;
}

int wav_take(struct wav_parser *parser, const uint8_t *bytes, uint32_t count) {
    switch (parser->state) {
    case WAV_RIFF:
        return take_riff(parser, bytes);
    case WAV_CHUNK:
        return take_chunk(parser, bytes);
    case WAV_FORMAT:
        return take_format(parser, bytes, count);
    case WAV_SKIP:
        parser->left -= count;
        if (parser->left == 0)
            parser->state = WAV_CHUNK;
        return 0;
    case WAV_DATA:
        break;
    }
    return 0;
}
