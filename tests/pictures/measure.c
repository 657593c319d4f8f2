/* Measures raw pictures from files, for comparison with other programs on the same bytes:
 *
 *   measure FORMAT WIDTH HEIGHT RATE FILE [REFERENCE]
 *
 * prints a JSON object for each picture, each event, and the total.
 */
#include "picture_measures.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct shmframe_format format;
static struct picture_measures *measures;
static FILE *file[2];

_Noreturn static void fail(const char *what) {
    fprintf(stderr, "measure: %s\n", what);
    exit(1);
}

static void print(json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(10));
    puts(text);
    free(text);
    json_decref(object);
}

/* The next picture of a file; NULL: there is none. */
static AVFrame *read_picture(enum pairing_side side) {
    const enum AVPixelFormat pixel_format = av_get_pix_fmt(format.video.pixel_format);
    const int width = (int)format.video.width, height = (int)format.video.height;
    const int bytes = av_image_get_buffer_size(pixel_format, width, height, 1);
    AVFrame *picture = av_frame_alloc();
    picture->format = pixel_format;
    picture->width = width;
    picture->height = height;
    picture->buf[0] = av_buffer_alloc((size_t)bytes + 64);
    if (fread(picture->buf[0]->data, 1, (size_t)bytes, file[side]) != (size_t)bytes)
        av_frame_free(&picture);
    else
        av_image_fill_arrays(picture->data, picture->linesize, picture->buf[0]->data, pixel_format,
                             width, height, 1);
    return picture;
}

static bool add(enum pairing_side side, uint64_t sequence) {
    AVFrame *picture = read_picture(side);
    if (!picture)
        return false;
    const struct shmframe_frame stamps = {.sequence = sequence,
                                          .pts = (int64_t)sequence - 1,
                                          .duration = 1,
                                          .capture_ns = (int64_t)sequence};
    if (picture_measures_add(measures, side, picture, &stamps) < 0)
        fail("a picture cannot be measured");
    av_frame_free(&picture);
    return true;
}

static void print_events(void) {
    json_t *event;
    while ((event = picture_measures_next_event(measures)))
        print(event);
}

int main(int argc, char **argv) {
    if (argc < 6)
        fail("FORMAT WIDTH HEIGHT RATE FILE [REFERENCE]");
    if (shmframe_format_video(&format, argv[1], (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3])) <
        0)
        fail("no such format");
    format.time_base = (struct shmframe_rational){1, atoi(argv[4])};
    struct picture_settings settings = picture_settings_default;
    settings.pairing.key = PAIRING_BY_PTS;
    settings.pairing.stream[PAIRING_MAIN] = "main";
    settings.pairing.stream[PAIRING_REFERENCE] = argc > 6 ? "reference" : NULL;
    if (picture_measures_create(&settings, &measures) < 0)
        fail("out of memory");
    for (int side = 0; side < argc - 5; side++) {
        file[side] = fopen(argv[5 + side], "rb");
        if (!file[side] ||
            picture_measures_set_format(measures, (enum pairing_side)side, &format) < 0)
            fail(argv[5 + side]);
    }
    for (uint64_t sequence = 1; add(PAIRING_MAIN, sequence); sequence++) {
        if (file[PAIRING_REFERENCE])
            add(PAIRING_REFERENCE, sequence);
        json_t *object = json_object();
        picture_measures_report_picture(measures, object);
        print(object);
        print_events();
    }
    picture_measures_end(measures, PAIRING_MAIN);
    print_events();
    json_t *total = json_pack("{s:b}", "is_total", 1);
    picture_measures_report_total(measures, total);
    print(total);
    picture_measures_destroy(measures);
    return 0;
}
