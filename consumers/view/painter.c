#include "painter.h"

#include "grade.h"
#include "scaler.h"
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdio.h>
#include <stdlib.h>

struct painter {
    struct scaler *scaler;
    struct grade *grade; /* NULL: not needed */
    AVFrame *from, *to;  /* describe; `to` has samples of its own where they are graded */
    char remark[96];
};

static int name_or(int number, int otherwise) {
    return number >= 0 ? number : otherwise;
}

static void describe_picture(const struct shmframe_video_format *video, AVFrame *frame) {
    frame->format = av_get_pix_fmt(video->pixel_format);
    frame->width = (int)video->width;
    frame->height = (int)video->height;
    frame->color_range =
        name_or(av_color_range_from_name(video->color_range), AVCOL_RANGE_UNSPECIFIED);
    frame->colorspace =
        name_or(av_color_space_from_name(video->color_space), AVCOL_SPC_UNSPECIFIED);
    frame->chroma_location =
        name_or(av_chroma_location_from_name(video->chroma_location), AVCHROMA_LOC_UNSPECIFIED);
}

/* libswscale has the matrices of BT.601, 709, 2020, FCC and SMPTE 240M. */
static void remark_matrix(struct painter *painter) {
    enum AVColorSpace space;
    enum AVColorRange range;
    picture_colors(painter->from, &space, &range);
    const bool is_known = space == AVCOL_SPC_RGB || space == AVCOL_SPC_BT2020_NCL ||
                          sws_getCoefficients((int)space) != sws_getCoefficients(SWS_CS_DEFAULT) ||
                          space == AVCOL_SPC_BT470BG || space == AVCOL_SPC_SMPTE170M;
    if (!is_known || space == AVCOL_SPC_BT2020_CL) {
        snprintf(painter->remark, sizeof painter->remark, "colours of %s, shown as those of %s",
                 av_color_space_name(space), is_known ? "bt2020nc" : "smpte170m");
    }
}

static int make_parts(struct painter *painter, const struct shmframe_format *format) {
    painter->from = av_frame_alloc();
    painter->to = av_frame_alloc();
    if (!painter->from || !painter->to) {
        return -ENOMEM;
    }
    describe_picture(&format->video, painter->from);
    if (!scaler_reads(painter->from->format)) {
        return -ENOTSUP;
    }
    const int error =
        grade_is_needed(&format->video) ? grade_create(&format->video, &painter->grade) : 0;
    if (error) {
        return error;
    }
    remark_matrix(painter);
    painter->to->format = painter->grade ? grade_input(painter->grade) : AV_PIX_FMT_RGB32;
    painter->to->colorspace = AVCOL_SPC_RGB;
    painter->to->color_range = AVCOL_RANGE_JPEG;
    const struct scaler_params params = {.pixel_format = painter->to->format, .is_quick = true};
    return scaler_create(&params, &painter->scaler);
}

int painter_create(const struct shmframe_format *format, int width, int height,
                   struct painter **out_painter) {
    struct painter *const painter = calloc(1, sizeof *painter);
    if (!painter) {
        return -ENOMEM;
    }
    int error = make_parts(painter, format);
    if (!error) {
        painter->to->width = width;
        painter->to->height = height;
        error = painter->grade && av_frame_get_buffer(painter->to, 0) < 0 ? -ENOMEM : 0;
    }
    if (error) {
        painter_destroy(painter);
        return error;
    }
    *out_painter = painter;
    return 0;
}

void painter_destroy(struct painter *painter) {
    if (!painter) {
        return;
    }
    scaler_destroy(painter->scaler);
    grade_destroy(painter->grade);
    av_frame_free(&painter->from);
    av_frame_free(&painter->to);
    free(painter);
}

const char *painter_remark(const struct painter *painter) {
    const char *const graded = painter->grade ? grade_remark(painter->grade) : NULL;
    return graded ? graded : painter->remark[0] != '\0' ? painter->remark : NULL;
}

int painter_run(struct painter *painter, const struct shmframe_lease *lease, uint8_t *pixels,
                int line_bytes) {
    AVFrame *const to = painter->to;
    for (unsigned i = 0; i < AV_NUM_DATA_POINTERS && i < lease->format->plane_count; i++) {
        /* libswscale only reads it. */
        painter->from->data[i] = (uint8_t *)shmframe_lease_plane(lease, i);
        painter->from->linesize[i] = (int)lease->format->plane[i].line_bytes;
    }
    if (!painter->grade) {
        to->data[0] = pixels;
        to->linesize[0] = line_bytes;
    }
    const int error = scaler_run_into(painter->scaler, painter->from, to);
    for (int y = 0; painter->grade && !error && y < to->height; y++) {
        const uint8_t *const row = to->data[0] + (ptrdiff_t)y * to->linesize[0];
        grade_run(painter->grade, (const uint32_t *)row,
                  (uint32_t *)(pixels + (ptrdiff_t)y * line_bytes), to->width);
    }
    return error;
}
