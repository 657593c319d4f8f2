#include "output.h"

#include "fault.h"
#include "near.h"
#include "output_file.h"
#include "picture_side.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* The picture after which a piece may end early, so that the next begins with a key frame. */
#define PIECE_NS       SECOND_NS
#define PIECE_LEAST_NS (SECOND_NS / 2)

struct output {
    struct output_params params;
    char *path;
    AVFormatContext *context[RECORDING_STREAMS_MAX]; /* one, or one a stream if it is split */
    uint32_t contexts;
    enum AVMediaType kind[RECORDING_STREAMS_MAX];
    AVRational time_base[RECORDING_STREAMS_MAX]; /* of the packets that come */
    int64_t dts[RECORDING_STREAMS_MAX]; /* the last one written, in the muxer's time base */
    struct output_file *file;           /* CONTAINER_FILE, _PIPE, _FLOW */
    int64_t piece_ns;     /* where the piece began; AV_NOPTS_VALUE: with the first packet */
    uint64_t payload;     /* what packets brought, for muxers that open files themselves */
    uint64_t piece_bytes; /* likewise of the piece, which a muxer may write all at once */
    bool is_closing;      /* its targets are: they say nothing any more */
    int piece_error;      /* of one of their files: hls for one tells nobody */
    int (*open_piece)(AVFormatContext *, AVIOContext **, const char *, int, AVDictionary **);
    int (*close_piece)(AVFormatContext *, AVIOContext *);
};

static const char *name_target(const struct output *output) {
    return output->path ? output->path : "standard output";
}

/* Setting up. */

static int add_stream(AVFormatContext *context, const struct recording_stream *stream) {
    AVStream *added = avformat_new_stream(context, NULL);
    if (!added || avcodec_parameters_copy(added->codecpar, stream->parameters) < 0)
        return fault_set(-ENOMEM, "no memory for an output");
    /* The container's to choose, but for raw pictures, whose format it tells. */
    if (added->codecpar->codec_id != AV_CODEC_ID_RAWVIDEO)
        added->codecpar->codec_tag = 0;
    if (picture_side_add(added, stream->rotation_degrees, &stream->hdr) < 0)
        return fault_set(-ENOMEM, "no memory for an output");
    added->time_base = stream->time_base;
    added->avg_frame_rate = stream->frame_rate;
    added->sample_aspect_ratio = stream->parameters->sample_aspect_ratio;
    if (stream->name)
        av_dict_set(&added->metadata, "title", stream->name, 0);
    return 0;
}

static bool is_split(const struct output_params *params) {
    return params->container->is_split && params->stream_count > 1;
}

/* The address for stream `index` of those that go out one by one: a port in two, since the odd one
 * behind is RTCP's (RFC 3550, section 11). */
static char *make_address(const struct output *output, uint32_t index) {
    const char *path = name_target(output);
    const char *host = strstr(path, "://");
    const char *port = host ? strrchr(path, ':') : NULL;
    if (index == 0 || !port || port == host || !port[1])
        return av_strdup(path);
    char *end;
    const unsigned long number = strtoul(port + 1, &end, 10);
    return av_asprintf("%.*s:%lu%s", (int)(port - path), path, number + 2 * index, end);
}

/* Files that a muxer opens by itself, to know how they fare. */

static int open_piece(AVFormatContext *context, AVIOContext **io, const char *url, int flags,
                      AVDictionary **options) {
    struct output *output = context->opaque;
    const int result = output->open_piece(context, io, url, flags, options);
    if (result < 0 && flags & AVIO_FLAG_WRITE && output->piece_error == 0)
        output->piece_error = result;
    return result;
}

static int close_piece(AVFormatContext *context, AVIOContext *io) {
    struct output *output = context->opaque;
    if (io && io->write_flag)
        avio_flush(io);
    if (io && io->error < 0 && output->piece_error == 0)
        output->piece_error = io->error;
    return output->close_piece(context, io);
}

static void watch_pieces(struct output *output, AVFormatContext *context) {
    output->open_piece = context->io_open;
    output->close_piece = context->io_close2;
    context->opaque = output;
    context->io_open = open_piece;
    context->io_close2 = close_piece;
}

static int add_context(struct output *output, uint32_t index) {
    const struct output_params *params = &output->params;
    char *address = make_address(output, index);
    AVFormatContext *context = NULL;
    if (!address ||
        avformat_alloc_output_context2(&context, params->container->format, NULL, address) < 0) {
        av_free(address);
        return fault_set(-ENOMEM, "no memory for an output");
    }
    av_free(address);
    output->context[output->contexts++] = context;
    context->interrupt_callback = params->interrupt;
    /* Who names a codec wants it, also where FFmpeg has doubts: FLAC in mp4. */
    context->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    context->max_delay = 700000; /* us: what demuxers of MPEG are told to buffer */
    context->flush_packets = params->container->is_network;
    if (params->container->road == CONTAINER_SELF)
        watch_pieces(output, context);
    const uint32_t from = is_split(params) ? index : 0;
    const uint32_t to = is_split(params) ? index + 1 : params->stream_count;
    for (uint32_t i = from; i < to; i++) {
        const int result = add_stream(context, &params->streams[i]);
        if (result < 0)
            return result;
    }
    return 0;
}

static int add_contexts(struct output *output) {
    const uint32_t count = is_split(&output->params) ? output->params.stream_count : 1;
    for (uint32_t i = 0; i < count; i++) {
        const int result = add_context(output, i);
        if (result < 0)
            return result;
    }
    return 0;
}

/* What nobody took of the user's own options. */
static int check_options(const struct output *output, const AVDictionary *left) {
    const struct option_list *own = output->params.options;
    const AVClass *class = output->params.container->format->priv_class;
    for (uint32_t i = 0; own && i < own->count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(own->text[i], "="), own->text[i]);
        if (!av_dict_get(left, name, NULL, 0))
            continue;
        struct near near = {.wanted = name};
        const AVOption *option = NULL;
        while (class && (option = av_opt_next(&class, option)))
            if (option->type != AV_OPT_TYPE_CONST)
                near_offer(&near, option->name);
        return fault_set(-EINVAL,
                         "--format-option: the container %s has no option \"%s\"%s "
                         "(\"ffmpeg -h muxer=%s\" lists them)",
                         output->params.container->format->name, name, near_text(&near),
                         output->params.container->format->name);
    }
    return 0;
}

/* The words of the target if it was that, or else of the muxer. */
static int describe_head(const struct output *output, const AVFormatContext *context, int error,
                         const char *said) {
    const bool is_its_own = output->params.container->road == CONTAINER_SELF;
    const bool is_of_system = error > -1000 && error != AVERROR(EINVAL) && error != AVERROR(ENOSYS);
    const int io = is_its_own && is_of_system ? error : context->pb ? context->pb->error : 0;
    const char *name = output->params.container->format->name;
    if (io < 0)
        return fault_set(io, "%s cannot be written: %s", name_target(output), fault_describe(io));
    if (error == AVERROR_EXIT)
        return fault_set(-EINTR, "%s: interrupted", name_target(output));
    return fault_set(-EINVAL, "%s cannot begin as %s: %s", name_target(output), name,
                     *said ? said : fault_describe(error));
}

static int write_head(struct output *output, AVFormatContext *context, AVDictionary *options) {
    AVDictionary *left = NULL;
    av_dict_copy(&left, options, 0);
    fault_listen();
    int result = avformat_write_header(context, &left);
    const char *said = fault_heard();
    result =
        result < 0 ? describe_head(output, context, result, said) : check_options(output, left);
    av_dict_free(&left);
    return result;
}

static int make_options(const struct output_params *params, AVDictionary **options) {
    return container_set_options(params->container, params->options, options);
}

static void free_output(struct output *output) {
    for (uint32_t i = 0; i < output->contexts; i++)
        avformat_free_context(output->context[i]);
    free(output->path);
    free(output);
}

static struct output *make_output(const struct output_params *params) {
    struct output *output = calloc(1, sizeof(*output));
    if (!output)
        return NULL;
    output->params = *params;
    output->piece_ns = AV_NOPTS_VALUE;
    output->path = params->path ? strdup(params->path) : NULL;
    for (uint32_t i = 0; i < params->stream_count; i++) {
        output->kind[i] = params->streams[i].parameters->codec_type;
        output->time_base[i] = params->streams[i].time_base;
        output->dts[i] = AV_NOPTS_VALUE;
    }
    return output;
}

int output_check(const struct output_params *params) {
    if (params->container->road == CONTAINER_SELF || params->container->road == CONTAINER_URL)
        return 0;
    struct output *output = make_output(params);
    AVDictionary *options = NULL;
    if (!output)
        return fault_set(-ENOMEM, "no memory for an output");
    int result = add_contexts(output);
    if (result == 0)
        result = make_options(params, &options);
    if (result == 0 && avio_open_dyn_buf(&output->context[0]->pb) < 0)
        result = fault_set(-ENOMEM, "no memory for an output");
    if (result == 0) {
        result = write_head(output, output->context[0], options);
        uint8_t *bytes = NULL;
        avio_close_dyn_buf(output->context[0]->pb, &bytes);
        av_free(bytes);
    }
    av_dict_free(&options);
    free_output(output);
    return result;
}

/* Opening. */

static int open_url(struct output *output, AVFormatContext *context, AVDictionary **options) {
    const int result =
        avio_open2(&context->pb, context->url, AVIO_FLAG_WRITE, &output->params.interrupt, options);
    if (result < 0)
        return fault_set(result == AVERROR_EXIT ? -EINTR : result, "%s cannot be reached: %s",
                         context->url, fault_describe(result));
    return 0;
}

static int write_sdp(const struct output *output) {
    const char *path = output->params.sdp;
    char text[16384];
    if (!path || av_sdp_create((AVFormatContext **)output->context, (int)output->contexts, text,
                               sizeof(text)) < 0)
        return path ? fault_set(-EINVAL, "--sdp: %s has no description of that kind",
                                output->params.container->format->name)
                    : 0;
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!file)
        return fault_set(-errno, "--sdp: %s cannot be written: %s", path,
                         fault_describe(AVERROR(errno)));
    const bool is_written = fputs(text, file) >= 0;
    const bool is_kept = (file == stdout ? fflush(file) : fclose(file)) == 0;
    if (!is_written || !is_kept)
        return fault_set(-errno, "--sdp: %s cannot be written: %s", path,
                         fault_describe(AVERROR(errno)));
    return 0;
}

static int begin(struct output *output) {
    AVDictionary *options = NULL;
    int result = make_options(&output->params, &options);
    for (uint32_t i = 0; i < output->contexts && result == 0; i++) {
        AVFormatContext *context = output->context[i];
        AVDictionary *rest = NULL;
        av_dict_copy(&rest, options, 0);
        if (output->params.container->road == CONTAINER_URL)
            result = open_url(output, context, &rest);
        else if (output->file)
            context->pb = output_file_context(output->file);
        if (result == 0)
            result = write_head(output, context, rest);
        av_dict_free(&rest);
    }
    av_dict_free(&options);
    return result == 0 ? write_sdp(output) : result;
}

static void close_targets(struct output *output) {
    if (output->params.container->road != CONTAINER_URL)
        return;
    for (uint32_t i = 0; i < output->contexts; i++)
        if (output->context[i]->pb)
            avio_flush(output->context[i]->pb);
    output->is_closing = true;
    for (uint32_t i = 0; i < output->contexts; i++)
        avio_closep(&output->context[i]->pb);
}

int output_open(const struct output_params *params, struct output **out_output) {
    struct output *output = make_output(params);
    if (!output)
        return fault_set(-ENOMEM, "no memory for an output");
    const enum container_road road = params->container->road;
    int result = add_contexts(output);
    if (result == 0 && (road == CONTAINER_FILE || road == CONTAINER_PIPE || road == CONTAINER_FLOW))
        result = output_file_open(params->path, params->is_overwriting, params->interrupt,
                                  &output->file);
    if (result == 0)
        result = begin(output);
    if (result < 0) {
        if (output->file && output_file_discard(output->file))
            unlink(params->path);
        close_targets(output);
        free_output(output);
        return result;
    }
    *out_output = output;
    return 0;
}

/* Writing. */

/* After a failure: its end can be written yet, or it needs none. */
static bool is_playable(const struct output *output) {
    if (!output_file_is_regular(output->file))
        return false;
    if (!output_file_has_failed(output->file))
        return output->payload > 0;
    return output_file_whole(output->file) > 0 &&
           container_is_in_pieces(output->params.container, output->params.options);
}

static int describe_failure(const struct output *output, int error) {
    const bool is_full = error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
    const char *what = fault_describe(error);
    if (output->params.container->road == CONTAINER_SELF)
        return fault_set(error, "%s: %s", name_target(output), what);
    if (!output->file)
        return fault_set(error, "%s is lost: %s", name_target(output), what);
    const char *remedy = is_full ? "; make room and start again" : "";
    if (!is_playable(output))
        return fault_set(error, "%s: %s%s", name_target(output), what, remedy);
    return fault_set(error, "%s: %s; %.0f kB are in it, and playable%s", name_target(output), what,
                     (double)output_bytes(output) / 1e3, remedy);
}

static int flush(struct output *output) {
    for (uint32_t i = 0; i < output->contexts; i++) {
        AVFormatContext *context = output->context[i];
        int result = 0;
        /* Muxers that open files themselves cut by themselves: hls crashes when it is asked. */
        if (context->pb && context->oformat->flags & AVFMT_ALLOW_FLUSH)
            result = av_write_frame(context, NULL);
        if (context->pb)
            avio_flush(context->pb);
        if (context->pb && context->pb->error < 0)
            result = context->pb->error;
        if (result < 0)
            return result;
    }
    output->piece_bytes = 0;
    if (output->file)
        output_file_mark_whole(output->file);
    return 0;
}

/* A piece ends after a second, or a little earlier in front of a key frame. */
static int flush_in_time(struct output *output, const AVPacket *packet) {
    const int64_t ns = av_rescale_q(packet->dts, output->time_base[packet->stream_index],
                                    (AVRational){1, (int)SECOND_NS});
    const bool is_key_picture =
        output->kind[packet->stream_index] == AVMEDIA_TYPE_VIDEO && packet->flags & AV_PKT_FLAG_KEY;
    if (output->piece_ns == AV_NOPTS_VALUE)
        output->piece_ns = ns;
    if (ns - output->piece_ns < (is_key_picture ? PIECE_LEAST_NS : PIECE_NS))
        return 0;
    output->piece_ns = ns;
    return flush(output);
}

/* Stamps in the muxer's time base rise, even where it is coarser than the packets'. */
static void convert_stamps(struct output *output, AVPacket *packet, const AVStream *stream) {
    int64_t *last = &output->dts[packet->stream_index];
    av_packet_rescale_ts(packet, output->time_base[packet->stream_index], stream->time_base);
    const bool may_be_equal = output->params.container->format->flags & AVFMT_TS_NONSTRICT;
    if (*last != AV_NOPTS_VALUE && packet->dts < *last + !may_be_equal)
        packet->dts = *last + !may_be_equal;
    if (packet->pts < packet->dts)
        packet->pts = packet->dts;
    *last = packet->dts;
}

int output_write(struct output *output, AVPacket *packet) {
    int result = flush_in_time(output, packet);
    output->piece_bytes += (uint64_t)packet->size;
    if (result == 0 && output->file)
        result = output_file_check_room(output->file, output->piece_bytes);
    if (result < 0)
        return describe_failure(output, result);
    const bool is_alone = is_split(&output->params);
    AVFormatContext *context = output->context[is_alone ? packet->stream_index : 0];
    const int index = is_alone ? 0 : packet->stream_index;
    convert_stamps(output, packet, context->streams[index]);
    packet->stream_index = index;
    output->payload += (uint64_t)packet->size;
    result = av_write_frame(context, packet);
    if (output->piece_error < 0)
        result = output->piece_error;
    return result < 0 ? describe_failure(output, result) : 0;
}

int output_close(struct output *output, int error, struct output_end *out_end) {
    int result = 0;
    /* Room for the end is kept, unless a write has failed. */
    const bool can_end = output->file ? !output_file_has_failed(output->file) : error == 0;
    for (uint32_t i = 0; i < output->contexts && can_end; i++) {
        const int ended = av_write_trailer(output->context[i]);
        result = result < 0 ? result : ended < 0 ? ended : output->piece_error;
    }
    if (output->file) {
        avio_flush(output_file_context(output->file));
        if (output_file_has_failed(output->file))
            output_file_cut_back(output->file);
    }
    *out_end = (struct output_end){.bytes = output_bytes(output)};
    if (output->file) {
        const bool is_empty = output_file_is_regular(output->file) && output->payload == 0;
        const int closed = output_file_close(output->file);
        result = result < 0 ? result : closed;
        output->file = NULL;
        if (is_empty && (error < 0 || result < 0))
            *out_end = (struct output_end){.is_removed = unlink(output->path) == 0};
    }
    close_targets(output);
    if (result < 0 && error == 0)
        fault_set(result, "%s could not be ended: %s", name_target(output), fault_describe(result));
    free_output(output);
    return error < 0 ? error : result;
}

uint64_t output_bytes(const struct output *output) {
    if (output->file)
        return output_file_bytes(output->file);
    if (output->params.container->road == CONTAINER_SELF)
        return output->payload;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < output->contexts; i++)
        if (output->context[i]->pb && avio_tell(output->context[i]->pb) > 0)
            bytes += (uint64_t)avio_tell(output->context[i]->pb);
    return bytes;
}

uint64_t output_moved(const struct output *output) {
    return output->is_closing ? 0 : output_bytes(output);
}

const char *output_path(const struct output *output) {
    return name_target(output);
}
