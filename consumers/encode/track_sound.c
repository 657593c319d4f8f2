#include "fault.h"
#include "program.h"
#include "shape.h"
#include "track.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>
#include <libavutil/samplefmt.h>
#include <string.h>

enum {
    CHUNK = 4096,         /* samples that are handled at once, where the codec does not say */
    SILENCE_SECONDS = 10, /* for a gap, at most: what is longer is a gap in the stamps */
    SILENCE_SECONDS_BARE = 3600, /* in containers without stamps */
};

/* --- What the codec takes --------------------------------------------------------------------- */

static bool is_float(enum AVSampleFormat format) {
    const enum AVSampleFormat packed = av_get_packed_sample_fmt(format);
    return packed == AV_SAMPLE_FMT_FLT || packed == AV_SAMPLE_FMT_DBL;
}

/* How much it costs to become `to`: precision first, then speed. */
static int rate_format(enum AVSampleFormat from, enum AVSampleFormat to) {
    const int bytes = av_get_bytes_per_sample(from), to_bytes = av_get_bytes_per_sample(to);
    int cost = 0;
    if (to_bytes < bytes && !(is_float(from) && to_bytes >= 4))
        cost += 1000 + 100 * (bytes - to_bytes);
    if (is_float(from) != is_float(to))
        cost += 10;
    if (av_get_packed_sample_fmt(from) != av_get_packed_sample_fmt(to))
        cost += 5 + to_bytes;
    return cost + (from != to);
}

static enum AVSampleFormat choose_format(const struct codec_choice *choice, const AVCodec *codec,
                                         enum AVSampleFormat from) {
    const enum AVSampleFormat *formats = codec_sample_formats(codec);
    if (choice->sample_format != AV_SAMPLE_FMT_NONE && !choice->is_pcm)
        return choice->sample_format;
    if (!formats)
        return from;
    enum AVSampleFormat best = *formats;
    for (; *formats != AV_SAMPLE_FMT_NONE; formats++)
        if (rate_format(from, *formats) < rate_format(from, best))
            best = *formats;
    return best;
}

/* The same, or the next higher, or the highest. */
static int choose_rate(const struct codec_choice *choice, const AVCodec *codec, int from) {
    const int *rates = codec_sample_rates(codec);
    const int wanted = choice->sample_rate ? choice->sample_rate : from;
    int best = 0;
    if (!rates)
        return wanted;
    for (; *rates; rates++) {
        const bool is_enough = *rates >= wanted;
        if (best == 0 || (is_enough ? best < wanted || *rates < best : *rates > best))
            best = *rates;
    }
    return best;
}

static int choose_layout(const struct codec_choice *choice, const AVCodec *codec,
                         const AVChannelLayout *from, AVChannelLayout *to) {
    const AVChannelLayout *layouts = codec_channel_layouts(codec);
    const AVChannelLayout *best = NULL;
    AVChannelLayout wanted = {0};
    if (choice->channels)
        av_channel_layout_default(&wanted, choice->channels);
    else if (av_channel_layout_copy(&wanted, from) < 0)
        return -ENOMEM;
    for (; layouts && layouts->nb_channels; layouts++) {
        const bool is_same = av_channel_layout_compare(layouts, &wanted) == 0;
        const bool is_better =
            !best ||
            (layouts->nb_channels <= wanted.nb_channels &&
             (best->nb_channels > wanted.nb_channels || layouts->nb_channels > best->nb_channels));
        if (is_same || is_better)
            best = layouts;
        if (is_same)
            break;
    }
    const int result = av_channel_layout_copy(to, best ? best : &wanted);
    av_channel_layout_uninit(&wanted);
    return result;
}

static AVFrame *choose_shape(const struct codec_choice *choice, const AVCodec *codec,
                             const AVFrame *from) {
    AVFrame *shape = av_frame_alloc();
    if (!shape)
        return NULL;
    shape->format = choose_format(choice, codec, from->format);
    shape->sample_rate = choose_rate(choice, codec, from->sample_rate);
    if (choose_layout(choice, codec, &from->ch_layout, &shape->ch_layout) < 0)
        av_frame_free(&shape);
    return shape;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void tell_why(struct track *track, const AVFrame *from, const AVFrame *to) {
    char layouts[2][64];
    av_channel_layout_describe(&from->ch_layout, layouts[0], sizeof(layouts[0]));
    av_channel_layout_describe(&to->ch_layout, layouts[1], sizeof(layouts[1]));
    track->why[0] = 0;
    if (from->format != to->format || from->sample_rate != to->sample_rate ||
        strcmp(layouts[0], layouts[1]) != 0)
        snprintf(track->why, sizeof(track->why),
                 "%s %d Hz %s to %s %d Hz %s, which its codec takes",
                 av_get_sample_fmt_name(from->format), from->sample_rate, layouts[0],
                 av_get_sample_fmt_name(to->format), to->sample_rate, layouts[1]);
    else if (track->drift == SOUND_STRETCH)
        snprintf(track->why, sizeof(track->why), "stretched, to stay beside the picture");
}

static int create_resampler(struct track *track, AVFrame *from) {
    AVFrame *to = track->shape;
    int result = swr_alloc_set_opts2(&track->resampler, &to->ch_layout, to->format, to->sample_rate,
                                     &from->ch_layout, from->format, from->sample_rate, 0, NULL);
    if (result >= 0 && track->drift == SOUND_STRETCH)
        result = av_opt_set_int(track->resampler, "flags", SWR_FLAG_RESAMPLE, 0);
    if (result >= 0)
        result = swr_init(track->resampler);
    return result >= 0 ? 0
                       : fault_set(-EINVAL,
                                   "%s: its sound cannot be converted to what its codec "
                                   "takes: %s",
                                   track->stream, fault_describe(result));
}

static int open_encoder(struct track *track, const AVFrame *from) {
    const struct codec_choice *choice = track->choice;
    const AVOutputFormat *container = recording_format(track->recording);
    const enum AVSampleFormat samples =
        choice->sample_format != AV_SAMPLE_FMT_NONE ? choice->sample_format : from->format;
    const AVCodec *codec = choice->is_pcm ? codec_find_pcm(container, samples) : choice->codec;
    if (!codec)
        return fault_set(-EINVAL, "%s holds no PCM of %s", container->name,
                         av_get_sample_fmt_name(samples));
    track->shape = choose_shape(choice, codec, from);
    if (!track->shape)
        return fault_set(-ENOMEM, "no memory for sound");
    const struct encoder_params params = {
        .choice = choice,
        .codec = codec,
        .format = container,
        .frame = track->shape,
        .time_base = {1, track->shape->sample_rate},
    };
    int result = encoder_create(&params, &track->encoder);
    if (result < 0)
        return result;
    track->time_base = encoder_context(track->encoder)->time_base;
    track->gathered =
        av_audio_fifo_alloc(track->shape->format, track->shape->ch_layout.nb_channels, 2 * CHUNK);
    return track->gathered ? 0 : fault_set(-ENOMEM, "no memory for sound");
}

/* The line of times goes on, counted at the new rates. */
static void set_rates(struct track *track, const AVFrame *from) {
    struct sound_stamps *stamps = &track->sound_stamps;
    const uint32_t to_rate_hz = (uint32_t)track->shape->sample_rate;
    if (stamps->params.to_rate_hz && stamps->params.to_rate_hz != to_rate_hz) {
        stamps->end = av_rescale(stamps->end, to_rate_hz, stamps->params.to_rate_hz);
        track->next = av_rescale(track->next, to_rate_hz, stamps->params.to_rate_hz);
        track->last = av_rescale(track->last, to_rate_hz, stamps->params.to_rate_hz);
    }
    stamps->params = (struct sound_stamps_params){
        .rate_hz = (uint32_t)from->sample_rate,
        .to_rate_hz = to_rate_hz,
        .drift = track->drift,
    };
}

static bool is_same_sound(const AVFrame *a, const AVFrame *b) {
    return a->format == b->format && a->sample_rate == b->sample_rate &&
           av_channel_layout_compare(&a->ch_layout, &b->ch_layout) == 0;
}

int track_sound_open(struct track *track) {
    AVFrame *from = shape_create(&track->format);
    if (!from)
        return fault_set(-EINVAL, "this FFmpeg does not know the format of %s: use a newer one",
                         track->stream);
    if (!track->sound_stamps.has_begun)
        track->last = INT64_MIN;
    int result = track->encoder ? 0 : open_encoder(track, from);
    if (result == 0) {
        set_rates(track, from);
        tell_why(track, from, track->shape);
        swr_free(&track->resampler);
        if (track->drift == SOUND_STRETCH || !is_same_sound(from, track->shape))
            result = create_resampler(track, from);
    }
    av_frame_free(&from);
    return result;
}

/* --- Encoding --------------------------------------------------------------------------------- */

/* Gives the encoder a frame of its format, which begins at `stamp`. */
static int encode(struct track *track, AVFrame *frame, int64_t stamp) {
    if (track->last != INT64_MIN && stamp <= track->last)
        stamp = track->last + 1;
    track->last = stamp;
    frame->pts = stamp;
    frame->time_base = track->time_base;
    track->counters.encoded++;
    return encoder_send(track->encoder, frame, track_take_packet, track);
}

static AVFrame *create_frame(const struct track *track, int samples) {
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = track->shape->format;
    frame->sample_rate = track->shape->sample_rate;
    frame->nb_samples = samples;
    if (av_channel_layout_copy(&frame->ch_layout, &track->shape->ch_layout) < 0 ||
        av_frame_get_buffer(frame, 0) < 0)
        av_frame_free(&frame);
    return frame;
}

/* Encodes what was gathered, in blocks as the codec takes them; at the end also the rest. */
static int encode_gathered(struct track *track, bool is_end) {
    const int block = encoder_context(track->encoder)->frame_size;
    for (;;) {
        const int gathered = av_audio_fifo_size(track->gathered);
        const int wanted = block > 0 ? block : CHUNK;
        const int samples = gathered < wanted ? gathered : wanted;
        if (samples == 0 || (samples < block && !is_end))
            return 0;
        AVFrame *frame = create_frame(track, samples);
        if (!frame ||
            av_audio_fifo_read(track->gathered, (void **)frame->extended_data, samples) < samples) {
            av_frame_free(&frame);
            return fault_set(-ENOMEM, "no memory for sound");
        }
        const int result = encode(track, frame, track->next - gathered);
        av_frame_free(&frame);
        if (result < 0)
            return result;
    }
}

static int gather(struct track *track, uint8_t *const *data, int samples) {
    if (samples > 0 && av_audio_fifo_write(track->gathered, (void **)data, samples) < samples)
        return fault_set(-ENOMEM, "no memory for sound");
    track->next += samples;
    return encode_gathered(track, false);
}

static bool is_bare(const struct track *track) {
    return recording_format(track->recording)->flags & AVFMT_NOTIMESTAMPS;
}

static int gather_silence(struct track *track, int64_t samples) {
    const int64_t most = (int64_t)track->shape->sample_rate *
                         (is_bare(track) ? SILENCE_SECONDS_BARE : SILENCE_SECONDS);
    const int64_t rest = samples > most ? samples - most : 0;
    samples -= rest;
    AVFrame *silence = samples > 0 ? create_frame(track, CHUNK) : NULL;
    int result = 0;
    if (samples > 0 && !silence)
        return fault_set(-ENOMEM, "no memory for sound");
    while (samples > 0 && result >= 0 && !program_is_stopping()) {
        const int chunk = samples < CHUNK ? (int)samples : CHUNK;
        av_samples_set_silence(silence->extended_data, 0, chunk, silence->ch_layout.nb_channels,
                               silence->format);
        result = gather(track, silence->extended_data, chunk);
        samples -= chunk;
    }
    av_frame_free(&silence);
    track->next += samples + rest;
    return result;
}

/* Converts, and gathers what comes out; without data: what the resampler still holds. */
static int resample(struct track *track, const uint8_t **data, int samples) {
    const int room = swr_get_out_samples(track->resampler, samples);
    AVFrame *out = create_frame(track, room > 0 ? room : 1);
    if (!out)
        return fault_set(-ENOMEM, "no memory for sound");
    int result = swr_convert(track->resampler, out->extended_data, out->nb_samples, data, samples);
    if (result >= 0)
        result = gather(track, out->extended_data, result);
    else
        result = fault_set(-EIO, "%s: its sound cannot be converted", track->stream);
    av_frame_free(&out);
    return result;
}

/* Moves the beginning of the frame by `samples`. The pointers are the frame's own. */
static void cut(AVFrame *frame, int64_t samples) {
    const bool is_planar = av_sample_fmt_is_planar(frame->format);
    const int channels = frame->ch_layout.nb_channels;
    const int64_t bytes =
        samples * av_get_bytes_per_sample(frame->format) * (is_planar ? 1 : channels);
    for (int i = 0; i < (is_planar ? channels : 1); i++) {
        frame->extended_data[i] += bytes;
        if (i < AV_NUM_DATA_POINTERS)
            frame->data[i] = frame->extended_data[i];
    }
    frame->nb_samples -= (int)samples;
}

static int put_samples(struct track *track, AVFrame *frame) {
    if (frame->nb_samples == 0)
        return 0;
    if (track->resampler) {
        track->counters.converted++;
        return resample(track, (const uint8_t **)frame->extended_data, frame->nb_samples);
    }
    const bool is_free = encoder_context(track->encoder)->frame_size == 0;
    if (!is_free || av_audio_fifo_size(track->gathered) > 0)
        return gather(track, frame->extended_data, frame->nb_samples);
    /* As it is. A layout that was not told is the usual one. */
    const int64_t stamp = track->next;
    track->next += frame->nb_samples;
    av_channel_layout_uninit(&frame->ch_layout);
    if (av_channel_layout_copy(&frame->ch_layout, &track->shape->ch_layout) < 0)
        return fault_set(-ENOMEM, "no memory for sound");
    return encode(track, frame, stamp);
}

/* Leaves out what is after the limit. */
static void limit(struct track *track, struct track_frame *frame) {
    const int rate_hz = frame->frame->sample_rate;
    if (track->limit_ns == INT64_MAX)
        return;
    const int64_t left_ns = track->limit_ns - frame->time_ns;
    const int64_t left = left_ns > 0 ? av_rescale(left_ns, rate_hz, 1000000000) : 0;
    if (left >= frame->frame->nb_samples)
        return;
    track->is_done = true;
    frame->frame->nb_samples = (int)left;
    track->counters.skipped += left == 0;
}

/* Samples that are missing before it, where blocks are of one length; 0: times must tell. */
static uint64_t count_lost(struct track *track, const struct track_frame *frame) {
    const int before = track->block;
    track->block = frame->frame->nb_samples;
    const bool is_even = before == track->block && frame->lost <= UINT32_MAX;
    return is_even ? frame->lost * (uint64_t)before : 0;
}

int track_sound_put(struct track *track, struct track_frame *frame) {
    struct sound_stamps *stamps = &track->sound_stamps;
    const bool is_first = !stamps->has_begun;
    const uint64_t lost = count_lost(track, frame);
    limit(track, frame);
    if (frame->frame->nb_samples == 0)
        return 0;
    const struct sound_step step = sound_stamps_next(
        stamps, frame->time_ns, (uint32_t)frame->frame->nb_samples, lost, frame->is_break);
    track->counters.early += is_first && step.cut > 0;
    /* Where a container has no stamps, sound that begins late is preceded by silence. */
    const bool is_late = is_first && !is_bare(track);
    if (is_late)
        track->next = step.silence;
    int result = is_late ? 0 : gather_silence(track, step.silence);
    track->next += step.shift;
    cut(frame->frame, step.cut);
    if (result >= 0 && stamps->params.drift == SOUND_STRETCH) {
        const int distance = 10 * (int)stamps->params.to_rate_hz;
        swr_set_compensation(track->resampler, (int)(step.stretch * distance), distance);
    }
    if (result >= 0)
        result = put_samples(track, frame->frame);
    if (track->resampler)
        sound_stamps_set_end(
            stamps, track->next + swr_get_delay(track->resampler, stamps->params.to_rate_hz));
    return result;
}

int track_sound_flush(struct track *track) {
    int result = track->resampler ? resample(track, NULL, 0) : 0;
    return result < 0 ? result : encode_gathered(track, true);
}
