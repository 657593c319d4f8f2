#include "changes.h"

#include "difference.h"

#include <errno.h>
#include <math.h>

void changes_reset(struct changes *changes) {
    av_frame_free(&changes->previous);
    av_frame_free(&changes->still);
    *changes = (struct changes){0};
}

/* Means of |a - b|, 0 to 1 of the range. */
struct means {
    double all;   /* over all components: what freezedetect looks at */
    double scene; /* over luma, or all of RGB: scdet */
};

static struct means compare(const AVFrame *with, const struct components *components,
                            void *const buffers[2]) {
    struct components other;
    components_read(with, &other);
    uint64_t sums[COMPONENTS_MAX], sum = 0, samples = 0;
    difference_absolute(components, &other, buffers, sums);
    struct means means = {0};
    for (int i = 0; i < components->count; i++) {
        const struct component *component = &components->component[i];
        sum += sums[i];
        samples += (uint64_t)component->width * (uint64_t)component->height;
        means.all = (double)sum / (double)samples / (double)(1u << component->depth);
        if (i == 0 || components->is_rgb)
            means.scene = means.all;
    }
    return means;
}

static double score(struct changes *changes, double mean) {
    const double difference = 100 * mean;
    const double jump = fabs(difference - changes->previous_difference);
    changes->previous_difference = difference;
    return fmin(fmin(difference, jump), 100);
}

/* The picture goes on being shown: what it is compared with must not be a lease any more. */
static int keep_still(struct changes *changes, struct change *change) {
    if (changes->still)
        return 0;
    changes->still = av_frame_clone(changes->previous);
    if (!changes->still || av_frame_make_writable(changes->still) < 0) {
        av_frame_free(&changes->still);
        return -ENOMEM;
    }
    change->is_copied = true;
    return 0;
}

int changes_step(struct changes *changes, const AVFrame *picture,
                 const struct components *components, double noise, void *const buffers[2],
                 struct change *out_change) {
    *out_change = (struct change){0};
    const AVFrame *previous = changes->previous;
    if (previous && (previous->format != picture->format || previous->width != picture->width ||
                     previous->height != picture->height))
        changes_reset(changes);
    if (changes->previous) {
        const struct means means = compare(changes->previous, components, buffers);
        const double since =
            changes->still ? compare(changes->still, components, buffers).all : means.all;
        out_change->is_known = true;
        out_change->is_still = since <= noise;
        out_change->score = score(changes, means.scene);
    }
    if (out_change->is_still) {
        const int result = keep_still(changes, out_change);
        if (result < 0)
            return result;
    } else {
        av_frame_free(&changes->still);
    }
    av_frame_free(&changes->previous);
    changes->previous = av_frame_clone(picture);
    return changes->previous ? 0 : -ENOMEM;
}
