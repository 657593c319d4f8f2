#include "shot.h"

#include "png_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <libavutil/pixdesc.h>
#include <shmframe/clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)

void shot_finish(struct shot *shot) {
    av_frame_free(&shot->frame);
    av_packet_free(&shot->packet);
    free(shot->path);
}

void shot_describe_instant(struct shot *shot) {
    char *text = shot->instant;
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    const int64_t age_ns = shmframe_now_ns() - shot->capture_ns;
    const int64_t unix_ns = wall.tv_sec * SECOND_NS + wall.tv_nsec - age_ns;
    const time_t seconds = (time_t)(unix_ns / SECOND_NS);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    const size_t used = strftime(text, SHOT_INSTANT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, SHOT_INSTANT_BYTES - used, ".%06dZ", (int)(unix_ns % SECOND_NS / 1000));
}

int shot_add_words(struct shot *shot) {
    char sequence[24], capture[24];
    snprintf(sequence, sizeof(sequence), "%" PRIu64, shot->sequence);
    snprintf(capture, sizeof(capture), "%" PRId64, shot->capture_ns);
    const struct {
        const char *keyword, *text;
    } words[] = {
        {"shmframe capture_ns", capture},  {"shmframe sequence", sequence},
        {"Creation Time", shot->instant},  {"Source", shot->stream},
        {"Software", "shmframe-snapshot"},
    };
    int result = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && result == 0; i++)
        result = png_text_add(shot->packet, words[i].keyword, words[i].text);
    return result;
}

void shot_tell(const struct shot *shot, enum report_format report) {
    const AVFrame *frame = shot->frame;
    const char *format = av_get_pix_fmt_name(frame->format);
    if (report == REPORT_TEXT) {
        printf("%s: frame %" PRIu64 " of %s, %dx%d %s%s%s, %.1f KB\n", shot->path, shot->sequence,
               shot->stream, frame->width, frame->height, format,
               shot->changes & STILL_CONVERTED ? " from " : "",
               shot->changes & STILL_CONVERTED ? shot->from_format : "", shot->packet->size / 1e3);
        report_flush();
        return;
    }
    report_print_json(json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:s, s:i, s:i, s:s, s:s, s:b, s:b, s:b, s:i, s:I, s:I}", "span",
        "picture", "file", shot->path, "stream", shot->stream, "sequence",
        (json_int_t)shot->sequence, "capture_ns", (json_int_t)shot->capture_ns, "captured",
        shot->instant, "width", frame->width, "height", frame->height, "pixel_format", format,
        "source_pixel_format", shot->from_format, "is_converted",
        (shot->changes & STILL_CONVERTED) != 0, "is_scaled", (shot->changes & STILL_SCALED) != 0,
        "is_turned", (shot->changes & STILL_TURNED) != 0, "bytes", shot->packet->size, "hold_ns",
        (json_int_t)shot->hold_ns, "encode_ns", (json_int_t)shot->encode_ns));
}
