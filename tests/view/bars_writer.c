/* A writer for tests/view/colour.py: bars of 75 % in a format that is named,
 *
 *   bars STREAM PIXEL-FORMAT COLOR-SPACE COLOR-RANGE [TRANSFER PRIMARIES]
 *
 * It prints what they are in RGB, a bar a line, then writes three pictures.
 */
#include "bars.h"

#include <libavutil/pixdesc.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <string.h>

enum { PICTURES = 3, ARGUMENTS_MIN = 5, ARGUMENTS_MAX = 7 };

static int fail(const char *what) {
    fprintf(stderr, "bars: %s: %s\n", what, shmframe_last_error());
    return 1;
}

static int write_bars(struct shmframe_writer *writer, enum AVColorSpace space, bool is_full) {
    struct shmframe_loan loan;
    const int result = shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan);
    if (result < 0)
        return result;
    AVFrame *picture = av_frame_alloc();
    picture->format = av_get_pix_fmt(loan.format->video.pixel_format);
    picture->width = (int)loan.format->video.width;
    picture->height = (int)loan.format->video.height;
    for (unsigned i = 0; i < loan.format->plane_count; i++) {
        picture->data[i] = shmframe_loan_plane(&loan, i);
        picture->linesize[i] = (int)loan.format->plane[i].line_bytes;
    }
    bars_paint(picture, space, is_full);
    av_frame_free(&picture);
    return shmframe_writer_publish(writer, &loan);
}

static void describe(struct shmframe_video_format *video, int count, char **text) {
    snprintf(video->color_space, sizeof(video->color_space), "%s", text[3]);
    snprintf(video->color_range, sizeof(video->color_range), "%s", text[4]);
    if (count < ARGUMENTS_MAX)
        return;
    snprintf(video->color_transfer, sizeof(video->color_transfer), "%s", text[5]);
    snprintf(video->color_primaries, sizeof(video->color_primaries), "%s", text[6]);
}

int main(int argc, char **argv) {
    if (argc < ARGUMENTS_MIN)
        return 2;
    const enum AVPixelFormat format = av_get_pix_fmt(argv[2]);
    const enum AVColorSpace space = av_color_space_from_name(argv[3]);
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    struct shmframe_writer_params params = {.stream = argv[1]};
    if (shmframe_session_open(NULL, &session) < 0 ||
        shmframe_format_video(&params.format, argv[2], 320, 32) < 0)
        return fail("open");
    describe(&params.format.video, argc, argv);
    if (shmframe_writer_open(session, &params, &writer) < 0)
        return fail("open");
    for (int bar = 0; bar < BARS; bar++) {
        int rgb[3];
        bars_rgb(format, space, bar, rgb);
        printf("%d %d %d\n", rgb[0], rgb[1], rgb[2]);
    }
    fclose(stdout);
    if (shmframe_writer_wait_readers(writer, 1, shmframe_deadline_ns(INT64_C(20000000000))) < 0)
        return fail("wait");
    for (int i = 0; i < PICTURES; i++)
        if (write_bars(writer, space, strcmp(argv[4], "pc") == 0) < 0)
            return fail("write");
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    return 0;
}
