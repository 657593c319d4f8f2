#include "likeness.h"

#include "difference.h"
#include "scaler.h"
#include "ssim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What PSNR is of pictures that do not differ at all: JSON has no infinity. More than any that do:
 * one sample of 2^28 that differs by 1 of 65535 makes 180 dB. */
static const double EQUAL_DB = 999;

static bool is_same(unsigned a, unsigned b, unsigned unspecified) {
    return a == b || a == unspecified || b == unspecified;
}

bool likeness_can_compare(const AVFrame *a, const AVFrame *b) {
    struct components of_a, of_b;
    components_read(a, &of_a);
    components_read(b, &of_b);
    if (of_a.count != of_b.count || of_a.is_rgb != of_b.is_rgb)
        return false;
    for (int i = 0; i < of_a.count; i++) {
        const struct component *first = &of_a.component[i], *second = &of_b.component[i];
        if (first->width != second->width || first->height != second->height ||
            first->depth != second->depth)
            return false;
    }
    return of_a.is_rgb || (is_same(a->color_range, b->color_range, AVCOL_RANGE_UNSPECIFIED) &&
                           is_same(a->colorspace, b->colorspace, AVCOL_SPC_UNSPECIFIED));
}

struct pair {
    struct components a, b;
    void *buffer[2];
    double weight[COMPONENTS_MAX];
};

static int init_pair(struct pair *pair, const AVFrame *a, const AVFrame *b) {
    components_read(a, &pair->a);
    components_read(b, &pair->b);
    double samples = 0;
    for (int i = 0; i < pair->a.count; i++) {
        const struct component *component = &pair->a.component[i];
        pair->weight[i] = (double)component->width * component->height;
        samples += pair->weight[i];
    }
    for (int i = 0; i < pair->a.count; i++)
        pair->weight[i] /= samples;
    pair->buffer[0] = malloc(2 * COMPONENT_ROW_BYTES);
    if (!pair->buffer[0])
        return -ENOMEM;
    pair->buffer[1] = (uint8_t *)pair->buffer[0] + COMPONENT_ROW_BYTES;
    return 0;
}

static void measure_difference(const struct pair *pair, struct likeness_measure *out_measure) {
    uint64_t squares[COMPONENTS_MAX];
    difference_squared(&pair->a, &pair->b, pair->buffer, squares);
    *out_measure = (struct likeness_measure){.count = 1};
    for (int i = 0; i < pair->a.count; i++) {
        const struct component *component = &pair->a.component[i];
        const double peak = (double)((1u << component->depth) - 1);
        out_measure->sum[i] =
            (double)squares[i] / component->width / component->height / peak / peak;
        out_measure->all += pair->weight[i] * out_measure->sum[i];
    }
    out_measure->worst = out_measure->all;
}

/* Leaves the measure empty where a component is smaller than a window. */
static int measure_similarity(const struct pair *pair, struct likeness_measure *out_measure) {
    struct likeness_measure measure = {.count = 1};
    *out_measure = (struct likeness_measure){0};
    for (int i = 0; i < pair->a.count; i++) {
        const int result =
            ssim_measure(&pair->a.component[i], &pair->b.component[i], &measure.sum[i]);
        if (result < 0)
            return result == -EINVAL ? 0 : result;
        measure.all += pair->weight[i] * measure.sum[i];
    }
    measure.worst = measure.all;
    *out_measure = measure;
    return 0;
}

int likeness_measure(const AVFrame *a, const AVFrame *b, bool with_psnr, bool with_ssim,
                     struct likeness *out_likeness) {
    struct pair pair;
    int result = init_pair(&pair, a, b);
    if (result < 0)
        return result;
    struct likeness likeness = {.pairs = 1, .components = pair.a.count, .is_rgb = pair.a.is_rgb};
    if (with_psnr) {
        measure_difference(&pair, &likeness.difference);
        likeness.equal = likeness.difference.all == 0;
    }
    if (with_ssim)
        result = measure_similarity(&pair, &likeness.similarity);
    free(pair.buffer[0]);
    if (result == 0)
        *out_likeness = likeness;
    return result;
}

static void add_measure(struct likeness_measure *sum, const struct likeness_measure *measure,
                        bool is_worse) {
    if (measure->count == 0)
        return;
    if (sum->count == 0 || is_worse)
        sum->worst = measure->worst;
    sum->count += measure->count;
    for (int i = 0; i < COMPONENTS_MAX; i++)
        sum->sum[i] += measure->sum[i];
    sum->all += measure->all;
}

void likeness_add(struct likeness *sum, const struct likeness *likeness) {
    if (likeness->pairs == 0)
        return;
    add_measure(&sum->difference, &likeness->difference,
                likeness->difference.worst > sum->difference.worst);
    add_measure(&sum->similarity, &likeness->similarity,
                likeness->similarity.worst < sum->similarity.worst);
    sum->pairs += likeness->pairs;
    sum->equal += likeness->equal;
    sum->components = likeness->components;
    sum->is_rgb = likeness->is_rgb;
}

static double psnr_db(double mean_square) {
    return mean_square > 0 ? -10 * log10(mean_square) : EQUAL_DB;
}

static void set_number(json_t *object, const char *format, char component, double value) {
    char key[32];
    snprintf(key, sizeof(key), format, component);
    json_object_set_new(object, key, json_real(value));
}

void likeness_report(const struct likeness *likeness, json_t *object) {
    json_object_set_new(object, "pairs", json_integer((json_int_t)likeness->pairs));
    const char *const names = likeness->is_rgb ? "rgb" : "yuv";
    const struct likeness_measure *difference = &likeness->difference;
    const struct likeness_measure *similarity = &likeness->similarity;
    if (difference->count) {
        const double count = (double)difference->count;
        for (int i = 0; i < likeness->components; i++)
            set_number(object, "psnr_%c_db", names[i], psnr_db(difference->sum[i] / count));
        json_object_set_new(object, "psnr_avg_db", json_real(psnr_db(difference->all / count)));
        json_object_set_new(object, "psnr_min_db", json_real(psnr_db(difference->worst)));
        json_object_set_new(object, "pairs_equal", json_integer((json_int_t)likeness->equal));
    }
    if (similarity->count) {
        const double count = (double)similarity->count;
        for (int i = 0; i < likeness->components; i++)
            set_number(object, "ssim_%c", names[i], similarity->sum[i] / count);
        json_object_set_new(object, "ssim_all", json_real(similarity->all / count));
        json_object_set_new(object, "ssim_min", json_real(similarity->worst));
    }
}
