#include "picture_side.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/display.h>
#include <libavutil/mastering_display_metadata.h>
#include <stdbool.h>

/* Takes `data`, in any case. FFmpeg 6.1 moved side data into the codec's parameters. */
static int add(AVStream *stream, enum AVPacketSideDataType type, void *data, size_t bytes) {
    if (!data)
        return -ENOMEM;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 29, 100)
    AVCodecParameters *parameters = stream->codecpar;
    if (av_packet_side_data_add(&parameters->coded_side_data, &parameters->nb_coded_side_data, type,
                                data, bytes, 0))
        return 0;
#else
    if (av_stream_add_side_data(stream, type, data, bytes) >= 0)
        return 0;
#endif
    av_free(data);
    return -ENOMEM;
}

static AVRational to_rational(struct shmframe_rational value) {
    return (AVRational){value.num, value.den};
}

static int add_mastering(AVStream *stream, const struct shmframe_hdr *hdr) {
    AVMasteringDisplayMetadata *display = av_mastering_display_metadata_alloc();
    if (!display)
        return -ENOMEM;
    display->has_primaries = hdr->primary_x[0].num > 0;
    display->has_luminance = hdr->luminance_max.num > 0;
    for (int i = 0; i < 3 && display->has_primaries; i++) {
        display->display_primaries[i][0] = to_rational(hdr->primary_x[i]);
        display->display_primaries[i][1] = to_rational(hdr->primary_y[i]);
    }
    if (display->has_primaries) {
        display->white_point[0] = to_rational(hdr->white_x);
        display->white_point[1] = to_rational(hdr->white_y);
    }
    if (display->has_luminance) {
        display->min_luminance = to_rational(hdr->luminance_min);
        display->max_luminance = to_rational(hdr->luminance_max);
    }
    return add(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, display, sizeof(*display));
}

static int add_light(AVStream *stream, const struct shmframe_hdr *hdr) {
    size_t bytes;
    AVContentLightMetadata *light = av_content_light_metadata_alloc(&bytes);
    if (!light)
        return -ENOMEM;
    light->MaxCLL = hdr->content_light_max;
    light->MaxFALL = hdr->frame_average_max;
    return add(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, light, bytes);
}

static int add_matrix(AVStream *stream, int32_t rotation_degrees) {
    int32_t *matrix = av_mallocz(9 * sizeof(*matrix));
    if (!matrix)
        return -ENOMEM;
    av_display_rotation_set(matrix, rotation_degrees);
    return add(stream, AV_PKT_DATA_DISPLAYMATRIX, matrix, 9 * sizeof(*matrix));
}

int picture_side_add(AVStream *stream, int32_t rotation_degrees, const struct shmframe_hdr *hdr) {
    int result = 0;
    if (rotation_degrees)
        result = add_matrix(stream, rotation_degrees);
    if (result == 0 && (hdr->primary_x[0].num > 0 || hdr->luminance_max.num > 0))
        result = add_mastering(stream, hdr);
    if (result == 0 && (hdr->content_light_max || hdr->frame_average_max))
        result = add_light(stream, hdr);
    return result;
}
