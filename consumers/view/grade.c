#include "grade.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODES = 1024, STEPS = 16384 /* of light: the darkest is a fifth of a level of sRGB */ };
static const double white_cd = 203;
static const double peak_cd = 1000; /* also HLG's, BT.2100's nominal peak */
static const double peak_max_cd = 10000;
static const double knee = 0.3;

struct grade {
    bool is_range; /* RGB of limited range, nothing else */
    uint8_t full[256];
    float light[CODES]; /* 1: white */
    float gain[CODES];  /* by the brightest component */
    float matrix[3][3];
    uint8_t code[STEPS + 1]; /* of sRGB, by light */
    char remark[96];
};

/* ---- What a format needs ---- */

static bool is_limited_rgb(const struct shmframe_video_format *video) {
    const AVPixFmtDescriptor *const descriptor =
        av_pix_fmt_desc_get(av_get_pix_fmt(video->pixel_format));
    return descriptor && (descriptor->flags & AV_PIX_FMT_FLAG_RGB) &&
           av_color_range_from_name(video->color_range) == AVCOL_RANGE_MPEG;
}

enum transfer { SDR = 0, PQ, HLG };

static enum transfer find_transfer(const struct shmframe_video_format *video) {
    const int transfer = av_color_transfer_from_name(video->color_transfer);
    return transfer == AVCOL_TRC_SMPTE2084 ? PQ : transfer == AVCOL_TRC_ARIB_STD_B67 ? HLG : SDR;
}

/* Into the primaries of BT.709; NULL: they are alike. */
static const float (*find_matrix(const struct shmframe_video_format *video))[3] {
    static const float bt2020[3][3] = {
        {1.660491F, -0.587641F, -0.072850F},
        {-0.124550F, 1.132900F, -0.008349F},
        {-0.018151F, -0.100579F, 1.118730F},
    };
    static const float p3[3][3] = {
        {1.224940F, -0.224940F, 0},
        {-0.042057F, 1.042057F, 0},
        {-0.019638F, -0.078636F, 1.098274F},
    };
    const int primaries = av_color_primaries_from_name(video->color_primaries);
    if (primaries == AVCOL_PRI_BT2020) {
        return bt2020;
    }
    if (primaries == AVCOL_PRI_SMPTE432) {
        return p3;
    }
    const bool is_told = primaries > 0 && primaries != AVCOL_PRI_UNSPECIFIED;
    return find_transfer(video) != SDR && !is_told ? bt2020 : NULL;
}

bool grade_is_needed(const struct shmframe_video_format *video) {
    return is_limited_rgb(video) || find_transfer(video) != SDR || find_matrix(video);
}

/* ---- Curves ---- */

static double decode_srgb(double code) {
    return code <= 0.04045 ? code / 12.92 : pow((code + 0.055) / 1.055, 2.4);
}

static double encode_srgb(double light) {
    return light <= 0.0031308 ? 12.92 * light : 1.055 * pow(light, 1 / 2.4) - 0.055;
}

/* SMPTE ST 2084; in cd/m2. */
static double decode_pq(double code) {
    const double c1 = 3424 / 4096.0, c2 = 2413 / 128.0, c3 = 2392 / 128.0;
    const double power = pow(code, 4096 / (2523 * 128.0));
    return 10000 * pow(fmax(power - c1, 0) / (c2 - c3 * power), 16384 / 2610.0);
}

/* ARIB STD-B67: light of the scene, 0 to 1. */
static double decode_hlg(double code) {
    const double a = 0.17883277, b = 0.28466892, c = 0.55991073;
    return code <= 0.5 ? code * code / 3 : (exp((code - c) / a) + b) / 12;
}

/* 1 is white; `peak` becomes 1. */
static double map_tone(double light, double peak) {
    if (light <= knee || peak <= 1) {
        return fmin(light, 1);
    }
    if (light >= peak) {
        return 1;
    }
    const double a = -knee * knee * (peak - 1) / (knee * knee - 2 * knee + peak);
    const double b = (knee * knee - 2 * knee * peak + peak) / (peak - 1);
    return (b * b + 2 * b * knee + knee * knee) / (b - a) * (light + a) / (light + b);
}

static double find_peak_cd(const struct shmframe_video_format *video, enum transfer transfer) {
    const struct shmframe_hdr *const hdr = &video->hdr;
    const double master_cd =
        hdr->luminance_max.den > 0 ? (double)hdr->luminance_max.num / hdr->luminance_max.den : 0;
    const double told_cd = hdr->content_light_max > 0 ? hdr->content_light_max : master_cd;
    if (transfer == HLG || told_cd <= 0) {
        return peak_cd;
    }
    return fmax(white_cd, fmin(told_cd, peak_max_cd));
}

/* ---- Tables ---- */

static void fill_range(struct grade *grade) {
    for (int i = 0; i < 256; i++) {
        const double full = (i - 16) * 255 / 219.0;
        grade->full[i] = (uint8_t)lround(fmax(0, fmin(full, 255)));
    }
}

/* One code's light, and what the tone map makes of a colour whose brightest component it is. */
static void fill_code(struct grade *grade, int i, enum transfer transfer, double peak) {
    const double code = i / (double)(CODES - 1);
    double light = decode_srgb(code), shown = light;
    switch (transfer) {
    case SDR:
        break;
    case PQ:
        light = decode_pq(code) / white_cd;
        shown = map_tone(light, peak);
        break;
    case HLG: {
        const double scene = decode_hlg(code);
        light = scene * peak_cd / white_cd;
        shown = map_tone(light * pow(scene, 0.2), peak);
        break;
    }
    }
    grade->light[i] = (float)light;
    grade->gain[i] = light > 0 ? (float)(shown / light) : 1;
}

static void fill_light(struct grade *grade, const struct shmframe_video_format *video) {
    static const float same[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    const enum transfer transfer = find_transfer(video);
    const double peak = find_peak_cd(video, transfer);
    const float(*const matrix)[3] = find_matrix(video);
    memcpy(grade->matrix, matrix ? matrix : same, sizeof grade->matrix);
    for (int i = 0; i < CODES; i++) {
        fill_code(grade, i, transfer, peak / white_cd);
    }
    for (int i = 0; i <= STEPS; i++) {
        grade->code[i] = (uint8_t)lround(255 * encode_srgb(i / (double)STEPS));
    }
    if (transfer != SDR) {
        snprintf(grade->remark, sizeof grade->remark,
                 "HDR (%s), shown by a tone map for a peak of %.0f cd/m2",
                 transfer == PQ ? "PQ" : "HLG", peak);
    }
}

int grade_create(const struct shmframe_video_format *video, struct grade **out_grade) {
    struct grade *const grade = calloc(1, sizeof *grade);
    if (!grade) {
        return -ENOMEM;
    }
    grade->is_range = find_transfer(video) == SDR && !find_matrix(video);
    if (grade->is_range) {
        fill_range(grade);
    } else {
        fill_light(grade, video);
    }
    *out_grade = grade;
    return 0;
}

void grade_destroy(struct grade *grade) {
    free(grade);
}

enum AVPixelFormat grade_input(const struct grade *grade) {
    return grade->is_range ? AV_PIX_FMT_RGB32 : AV_PIX_FMT_X2RGB10;
}

const char *grade_remark(const struct grade *grade) {
    return grade->remark[0] != '\0' ? grade->remark : NULL;
}

/* ---- Pixels ---- */

/* `light` is at most some two; without branches, which would be guessed wrong all the time. */
static uint32_t find_code(const struct grade *grade, float light) {
    int step = (int)(light * STEPS + 0.5F);
    step &= ~(step >> 31);
    step = step < STEPS ? step : STEPS;
    return grade->code[step];
}

static uint32_t grade_pixel(const struct grade *grade, uint32_t pixel) {
    const uint32_t code[3] = {pixel >> 20 & 1023, pixel >> 10 & 1023, pixel & 1023};
    const uint32_t larger = code[0] > code[1] ? code[0] : code[1];
    const float gain = grade->gain[larger > code[2] ? larger : code[2]];
    const float red = grade->light[code[0]] * gain;
    const float green = grade->light[code[1]] * gain;
    const float blue = grade->light[code[2]] * gain;
    uint32_t out = 255;
    for (int i = 0; i < 3; i++) {
        const float *const row = grade->matrix[i];
        out = out << 8 | find_code(grade, row[0] * red + row[1] * green + row[2] * blue);
    }
    return out;
}

static uint32_t widen_pixel(const struct grade *grade, uint32_t pixel) {
    return (pixel & 0xff000000) | (uint32_t)grade->full[pixel >> 16 & 255] << 16 |
           (uint32_t)grade->full[pixel >> 8 & 255] << 8 | grade->full[pixel & 255];
}

void grade_run(const struct grade *grade, const uint32_t *from, uint32_t *to, int count) {
    if (grade->is_range) {
        for (int i = 0; i < count; i++) {
            to[i] = widen_pixel(grade, from[i]);
        }
        return;
    }
    for (int i = 0; i < count; i++) {
        to[i] = grade_pixel(grade, from[i]);
    }
}
