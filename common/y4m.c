#include "y4m.h"

#include <ctype.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <shmframe/error.h>
#include <shmframe/frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Samples are little-endian. The first name of a format is the one that is written; where its
 * chroma lies may choose another. */
static const struct colours {
    const char *name;
    const char *pixel_format;
    const char *chroma_location; /* as av_chroma_location_name() */
} table[] = {
    {"420jpeg", "yuv420p", "center"},
    {"420mpeg2", "yuv420p", "left"},
    {"420paldv", "yuv420p", "topleft"},
    {"420", "yuv420p", ""},
    {"411", "yuv411p", ""},
    {"422", "yuv422p", ""},
    {"444", "yuv444p", ""},
    {"444alpha", "yuva444p", ""},
    {"mono", "gray", ""},
    {"420p9", "yuv420p9le", ""},
    {"422p9", "yuv422p9le", ""},
    {"444p9", "yuv444p9le", ""},
    {"mono9", "gray9le", ""},
    {"420p10", "yuv420p10le", ""},
    {"422p10", "yuv422p10le", ""},
    {"444p10", "yuv444p10le", ""},
    {"mono10", "gray10le", ""},
    {"420p12", "yuv420p12le", ""},
    {"422p12", "yuv422p12le", ""},
    {"444p12", "yuv444p12le", ""},
    {"mono12", "gray12le", ""},
    {"420p14", "yuv420p14le", ""},
    {"422p14", "yuv422p14le", ""},
    {"444p14", "yuv444p14le", ""},
    {"420p16", "yuv420p16le", ""},
    {"422p16", "yuv422p16le", ""},
    {"444p16", "yuv444p16le", ""},
    {"mono16", "gray16le", ""},
    /* Full range by their names. */
    {"420jpeg", "yuvj420p", "center"},
    {"422", "yuvj422p", ""},
    {"444", "yuvj444p", ""},
};
enum { ROWS = sizeof(table) / sizeof(table[0]) };

static enum AVPixelFormat formats[ROWS + 1];

const enum AVPixelFormat *y4m_pixel_formats(void) {
    for (int i = 0; i < ROWS; i++)
        formats[i] = av_get_pix_fmt(table[i].pixel_format);
    formats[ROWS] = AV_PIX_FMT_NONE;
    return formats;
}

/* The row for a format, that of its chroma's place if there is one. */
static const struct colours *find_by_format(const char *pixel_format, const char *location) {
    const struct colours *first = NULL;
    for (int i = 0; i < ROWS; i++) {
        if (strcmp(table[i].pixel_format, pixel_format) != 0)
            continue;
        if (!first || strcmp(table[i].chroma_location, location) == 0)
            first = &table[i];
    }
    return first;
}

bool y4m_can_carry(const char *pixel_format) {
    return find_by_format(pixel_format, "") != NULL;
}

static bool is_full(const struct shmframe_video_format *video) {
    return strcmp(video->color_range, "pc") == 0 || strncmp(video->pixel_format, "yuvj", 4) == 0;
}

int y4m_print(const struct shmframe_format *format, char out_line[Y4M_LINE_MAX]) {
    static const char orders[] = {
        [SHMFRAME_PROGRESSIVE] = 'p', [SHMFRAME_TOP_FIRST] = 't', [SHMFRAME_BOTTOM_FIRST] = 'b'};
    const struct shmframe_video_format *video = &format->video;
    const struct colours *colours = find_by_format(video->pixel_format, video->chroma_location);
    if (!colours)
        return -ENOTSUP;
    const bool is_rate_known = video->frame_rate.num > 0 && video->frame_rate.den > 0;
    const bool is_aspect_known = video->sample_aspect.num > 0 && video->sample_aspect.den > 0;
    const bool is_range_known = is_full(video) || strcmp(video->color_range, "tv") == 0;
    return snprintf(out_line, Y4M_LINE_MAX, Y4M_MAGIC " W%u H%u F%d:%d I%c A%d:%d C%s%s\n",
                    video->width, video->height, is_rate_known ? video->frame_rate.num : 0,
                    is_rate_known ? video->frame_rate.den : 0, orders[video->field_order % 3],
                    is_aspect_known ? video->sample_aspect.num : 0,
                    is_aspect_known ? video->sample_aspect.den : 0, colours->name,
                    !is_range_known  ? ""
                    : is_full(video) ? " XCOLORRANGE=FULL"
                                     : " XCOLORRANGE=LIMITED");
}

/* Reading. */

struct header {
    uint32_t width, height;
    struct shmframe_rational rate, aspect;
    char order;
    bool is_full, is_limited;
    char colours[32];
    char why[Y4M_WHY_BYTES];
};

/* A number of nothing but digits, up to INT32_MAX. */
static bool read_number(const char *text, const char **out_end, int32_t *out_number) {
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    const long number = strtol(text, &end, 10);
    if (errno || number > INT32_MAX)
        return false;
    *out_number = (int32_t)number;
    *out_end = end;
    return true;
}

/* "30000:1001"; "0:0" is unknown. */
static bool read_ratio(const char *text, struct shmframe_rational *out_ratio) {
    struct shmframe_rational ratio;
    if (!read_number(text, &text, &ratio.num) || *text != ':' ||
        !read_number(text + 1, &text, &ratio.den) || *text)
        return false;
    const bool is_known = ratio.num > 0 && ratio.den > 0;
    if (!is_known && (ratio.num || ratio.den))
        return false;
    *out_ratio = is_known ? ratio : (struct shmframe_rational){0, 1};
    return true;
}

static bool read_side(const char *text, uint32_t *out_side) {
    int32_t side;
    if (!read_number(text, &text, &side) || *text || side < 1 || side > SHMFRAME_SIDE_MAX)
        return false;
    *out_side = (uint32_t)side;
    return true;
}

static bool read_parameter(struct header *header, const char *text) {
    switch (text[0]) {
    case 'W':
        return read_side(text + 1, &header->width);
    case 'H':
        return read_side(text + 1, &header->height);
    case 'F':
        return read_ratio(text + 1, &header->rate);
    case 'A':
        return read_ratio(text + 1, &header->aspect);
    case 'I':
        header->order = text[1];
        return text[1] && strchr("?ptbm", text[1]) && !text[2];
    case 'C':
        if (strlen(text + 1) >= sizeof(header->colours))
            return false;
        strcpy(header->colours, text + 1);
        return true;
    case 'X': /* is anybody's own */
        header->is_full = header->is_full || strcmp(text, "XCOLORRANGE=FULL") == 0;
        header->is_limited = header->is_limited || strcmp(text, "XCOLORRANGE=LIMITED") == 0;
        return true;
    }
    return false;
}

/* Splits the line, which has no NUL behind it, into words. */
static int read_parameters(struct header *header, const char *line, size_t length) {
    char copy[Y4M_LINE_MAX];
    const size_t magic = strlen(Y4M_MAGIC);
    if (length < magic || memcmp(line, Y4M_MAGIC, magic) != 0 ||
        (length > magic && line[magic] != ' ')) {
        snprintf(header->why, sizeof(header->why), "it does not begin with " Y4M_MAGIC);
        return -EINVAL;
    }
    if (length >= sizeof(copy) || memchr(line, 0, length)) {
        snprintf(header->why, sizeof(header->why), "its header is no line of text");
        return -EINVAL;
    }
    memcpy(copy, line, length);
    copy[length] = '\0';
    char *rest = copy + magic;
    for (char *word; (word = strsep(&rest, " "));) {
        if (*word && !read_parameter(header, word)) {
            snprintf(header->why, sizeof(header->why), "\"%.40s\" in its header makes no sense",
                     word);
            return -EINVAL;
        }
    }
    return 0;
}

static const struct colours *find_by_name(const char *name) {
    if (!*name) /* as yuv4mpeg(5) says */
        name = "420jpeg";
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static void describe(const struct header *header, const struct colours *colours,
                     struct shmframe_format *format) {
    struct shmframe_video_format *video = &format->video;
    video->frame_rate = header->rate;
    video->sample_aspect = header->aspect;
    video->field_order = header->order == 't'   ? SHMFRAME_TOP_FIRST
                         : header->order == 'b' ? SHMFRAME_BOTTOM_FIRST
                                                : SHMFRAME_PROGRESSIVE;
    strcpy(video->chroma_location, colours->chroma_location);
    strcpy(video->color_range, header->is_full ? "pc" : header->is_limited ? "tv" : "");
    if (header->rate.num)
        format->time_base = (struct shmframe_rational){header->rate.den, header->rate.num};
}

int y4m_parse(const char *line, size_t length, struct shmframe_format *out_format,
              char why[Y4M_WHY_BYTES]) {
    struct header header = {.rate = {0, 1}, .aspect = {0, 1}};
    const struct colours *colours;
    int result = read_parameters(&header, line, length);
    if (result == 0 && (!header.width || !header.height)) {
        snprintf(header.why, sizeof(header.why), "its header has no %s",
                 header.width ? "height (H)" : "width (W)");
        result = -EINVAL;
    } else if (result == 0 && !(colours = find_by_name(header.colours))) {
        snprintf(header.why, sizeof(header.why),
                 "pictures of the kind C%s are not known; C420jpeg, C422 and C444 are",
                 header.colours);
        result = -ENOTSUP;
    } else if (result == 0) {
        result =
            shmframe_format_video(out_format, colours->pixel_format, header.width, header.height);
        if (result == 0)
            describe(&header, colours, out_format);
        else
            snprintf(header.why, sizeof(header.why), "%.120s", shmframe_last_error());
    }
    if (result < 0)
        memcpy(why, header.why, Y4M_WHY_BYTES);
    return result;
}

/* Of a picture's own interlacing, "Itip": how it is to be shown, t and b being one field first, and
 * how it was sampled, which is of no matter here. */
static uint32_t read_flags(const char *text, uint32_t flags) {
    if (text[0] == 't' || text[0] == 'T')
        return SHMFRAME_INTERLACED | SHMFRAME_TOP_FIELD_FIRST;
    if (text[0] == 'b' || text[0] == 'B')
        return SHMFRAME_INTERLACED;
    if (text[0] == '1' || text[0] == '2' || text[0] == '3')
        return 0;
    return flags;
}

int y4m_parse_frame(const char *line, size_t length, const struct shmframe_format *format,
                    uint32_t *out_flags) {
    const size_t magic = strlen(Y4M_FRAME);
    if (length < magic || memcmp(line, Y4M_FRAME, magic) != 0 ||
        (length > magic && line[magic] != ' '))
        return -EINVAL;
    uint32_t flags = 0;
    if (format->video.field_order == SHMFRAME_TOP_FIRST)
        flags = SHMFRAME_INTERLACED | SHMFRAME_TOP_FIELD_FIRST;
    else if (format->video.field_order == SHMFRAME_BOTTOM_FIRST)
        flags = SHMFRAME_INTERLACED;
    for (size_t i = magic; i + 2 < length; i++)
        if (line[i] == ' ' && line[i + 1] == 'I')
            flags = read_flags(line + i + 2, flags);
    *out_flags = flags;
    return 0;
}
