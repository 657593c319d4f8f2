/* Camera mode: what a device offers, and which of it is taken. Pure: no device is asked. */
#ifndef PRODUCERS_CAMERA_MODE_H
#define PRODUCERS_CAMERA_MODE_H

#include "camera_format.h"

/* One way to run: a format at a size and a rate, or at ranges of them. */
struct camera_mode {
    uint32_t fourcc;
    uint32_t width, height;            /* 0: the device told none, its input decides */
    uint32_t width_max, height_max;    /* as above where there is no range */
    uint32_t width_step, height_step;  /* of ranges */
    struct shmframe_rational rate;     /* slowest; 0/1: the device told none */
    struct shmframe_rational rate_max; /* fastest, as above where there is no range */
};

struct camera_modes {
    struct camera_mode *mode;
    uint32_t count;
    uint32_t width_now, height_now; /* that the device is set to; 0: not known */
};

void camera_modes_add(struct camera_modes *modes, const struct camera_mode *mode);
void camera_modes_free(struct camera_modes *modes);

/* What is asked for; zeros and NULL: whatever is best. */
struct camera_wish {
    uint32_t width, height;
    struct shmframe_rational rate;
    const char *pixel_format; /* of libavutil's, or a codec's */
};

/* The mode taken: width 0 and rate 0/1 are left to the device. */
struct camera_choice {
    uint32_t fourcc, width, height;
    struct shmframe_rational rate;
};

/* Chooses the mode that comes nearest to 30 pictures a second, or is faster; of these the largest;
 * of these the one whose pixels are most welcome. Of a range of sizes, which the device makes by
 * scaling, the one that it is set to counts. Errors: -ENOTSUP the device does not offer what
 * is asked; `why` says what instead. */
int camera_mode_choose(const struct camera_modes *modes, const struct camera_wish *wish,
                       struct camera_choice *out_choice, char why[CAMERA_WHY_BYTES]);

/* Whether both are the same rate as far as cameras tell: 30 and 30000/1001 are. */
bool camera_rate_is_near(struct shmframe_rational a, struct shmframe_rational b);

#endif
