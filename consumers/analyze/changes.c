#include "changes.h"

#include "difference.h"

#include <errno.h>
#include <math.h>

void changes_reset(struct changes *changes) {
    av_frame_free(&changes->previous);
    av_frame_free(&changes->still);
    *changes = (struct changes){0};
}

int changes_let_go(struct changes *changes) {
    return changes->previous && av_frame_make_writable(changes->previous) < 0 ? -ENOMEM : 0;
}

/* Means of |a - b|, 0 to 1 of the range. */
struct means {
    double all;   /* over all components: what freezedetect looks at */
    double scene; /* over luma, or all of RGB: scdet */
};

/* RGB whose samples fill the memory: all samples of a row as one component, which need not be
 * unpacked, since only their sum counts. */
static void merge(struct components *components) {
    const struct component *of = components->component;
    struct component all = of[0];
    if (!components->is_rgb || all.step_bytes != COMPONENTS_MAX * all.word_bytes ||
        all.shift != 0 || all.depth != 8 * all.word_bytes)
        return;
    for (int i = 1; i < COMPONENTS_MAX; i++)
        all.data = of[i].data < all.data ? of[i].data : all.data;
    all.width *= COMPONENTS_MAX;
    all.step_bytes = all.word_bytes;
    components->component[0] = all;
    components->count = 1;
}

static struct means compare(const AVFrame *with, struct components components_of,
                            void *const buffers[2]) {
    struct components other;
    components_read(with, &other);
    merge(&other);
    merge(&components_of);
    const struct components *components = &components_of;
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
        const struct means means = compare(changes->previous, *components, buffers);
        const double since =
            changes->still ? compare(changes->still, *components, buffers).all : means.all;
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
