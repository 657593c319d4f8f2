/* Camera device: the modes it offers, and setting one. */
#include "camera_device.h"

#include <errno.h>
#include <libavutil/rational.h>
#include <stdio.h>
#include <string.h>

/* Drivers tell the time between pictures, which is the rate's inverse. */
static struct shmframe_rational to_rate(struct v4l2_fract interval) {
    struct shmframe_rational rate = {0, 1};
    if (interval.numerator && interval.denominator)
        av_reduce(&rate.num, &rate.den, interval.denominator, interval.numerator, INT32_MAX);
    return rate;
}

/* Enumerating. */

static void read_rates(const struct camera_device *device, struct camera_mode mode, uint32_t width,
                       uint32_t height, struct camera_modes *modes) {
    struct v4l2_frmivalenum interval = {
        .pixel_format = mode.fourcc, .width = width, .height = height};
    uint32_t told = 0;
    for (; width && camera_ioctl(device->fd, VIDIOC_ENUM_FRAMEINTERVALS, &interval) == 0;
         interval.index++, told++) {
        if (interval.type == V4L2_FRMIVAL_TYPE_DISCRETE) {
            mode.rate = mode.rate_max = to_rate(interval.discrete);
            camera_modes_add(modes, &mode);
            continue;
        }
        mode.rate = to_rate(interval.stepwise.max);
        mode.rate_max = to_rate(interval.stepwise.min);
        camera_modes_add(modes, &mode);
        return;
    }
    if (told)
        return;
    mode.rate = mode.rate_max = (struct shmframe_rational){0, 1};
    camera_modes_add(modes, &mode);
}

static void read_range(const struct camera_device *device, const struct camera_wish *wish,
                       const struct v4l2_frmsizeenum *size, struct camera_modes *modes) {
    const struct camera_mode mode = {
        .fourcc = size->pixel_format,
        .width = size->stepwise.min_width,
        .height = size->stepwise.min_height,
        .width_max = size->stepwise.max_width,
        .height_max = size->stepwise.max_height,
        .width_step = size->stepwise.step_width,
        .height_step = size->stepwise.step_height,
    };
    const bool is_asked = wish->width >= mode.width && wish->width <= mode.width_max &&
                          wish->height >= mode.height && wish->height <= mode.height_max;
    const bool is_kept = modes->width_now >= mode.width && modes->width_now <= mode.width_max &&
                         modes->height_now >= mode.height && modes->height_now <= mode.height_max;
    read_rates(device, mode,
               is_asked  ? wish->width
               : is_kept ? modes->width_now
                         : mode.width_max,
               is_asked  ? wish->height
               : is_kept ? modes->height_now
                         : mode.height_max,
               modes);
}

static void read_sizes(const struct camera_device *device, const struct camera_wish *wish,
                       uint32_t fourcc, struct camera_modes *modes) {
    struct v4l2_frmsizeenum size = {.pixel_format = fourcc};
    for (; camera_ioctl(device->fd, VIDIOC_ENUM_FRAMESIZES, &size) == 0; size.index++) {
        if (size.type != V4L2_FRMSIZE_TYPE_DISCRETE) {
            read_range(device, wish, &size, modes);
            return;
        }
        const struct camera_mode mode = {
            .fourcc = fourcc,
            .width = size.discrete.width,
            .height = size.discrete.height,
            .width_max = size.discrete.width,
            .height_max = size.discrete.height,
        };
        read_rates(device, mode, mode.width, mode.height, modes);
    }
    if (size.index == 0)
        read_rates(device, (struct camera_mode){.fourcc = fourcc}, 0, 0, modes);
}

int camera_device_read_modes(const struct camera_device *device, const struct camera_wish *wish,
                             struct camera_modes *modes) {
    struct v4l2_format now = {.type = device->type};
    if (camera_ioctl(device->fd, VIDIOC_G_FMT, &now) == 0) {
        modes->width_now = device->is_multiplanar ? now.fmt.pix_mp.width : now.fmt.pix.width;
        modes->height_now = device->is_multiplanar ? now.fmt.pix_mp.height : now.fmt.pix.height;
    }
    struct v4l2_fmtdesc format = {.type = device->type};
    int result;
    for (; (result = camera_ioctl(device->fd, VIDIOC_ENUM_FMT, &format)) == 0; format.index++)
        read_sizes(device, wish, format.pixelformat, modes);
    return result == -EINVAL ? 0 : result; /* there are no more */
}

/* Both of V4L2's ways to tell a format. */

static void take_single(const struct v4l2_pix_format *from, struct camera_picture *to) {
    *to = (struct camera_picture){
        .fourcc = from->pixelformat,
        .width = from->width,
        .height = from->height,
        .field = from->field,
        .colorspace = from->colorspace,
        .xfer_func = from->xfer_func,
        .ycbcr_enc = from->ycbcr_enc,
        .quantization = from->quantization,
        .pieces = 1,
        .line_bytes = {from->bytesperline},
        .size_bytes = {from->sizeimage},
    };
}

static void take_multiple(const struct v4l2_pix_format_mplane *from, struct camera_picture *to) {
    *to = (struct camera_picture){
        .fourcc = from->pixelformat,
        .width = from->width,
        .height = from->height,
        .field = from->field,
        .colorspace = from->colorspace,
        .xfer_func = from->xfer_func,
        .ycbcr_enc = from->ycbcr_enc,
        .quantization = from->quantization,
        .pieces = from->num_planes < CAMERA_PLANES_MAX ? from->num_planes : CAMERA_PLANES_MAX,
    };
    for (uint32_t i = 0; i < to->pieces; i++) {
        to->line_bytes[i] = from->plane_fmt[i].bytesperline;
        to->size_bytes[i] = from->plane_fmt[i].sizeimage;
    }
}

static int set_format(const struct camera_device *device, const struct camera_choice *choice,
                      uint32_t field, struct camera_picture *out_picture) {
    struct v4l2_format format = {.type = device->type};
    const int result = camera_ioctl(device->fd, VIDIOC_G_FMT, &format);
    if (result < 0)
        return result;
    if (device->is_multiplanar) {
        struct v4l2_pix_format_mplane *pictures = &format.fmt.pix_mp;
        const struct v4l2_pix_format_mplane now = *pictures;
        memset(pictures, 0, sizeof(*pictures));
        pictures->pixelformat = choice->fourcc;
        pictures->width = choice->width ? choice->width : now.width;
        pictures->height = choice->width ? choice->height : now.height;
        pictures->field = field;
    } else {
        struct v4l2_pix_format *picture = &format.fmt.pix;
        const struct v4l2_pix_format now = *picture;
        memset(picture, 0, sizeof(*picture));
        picture->pixelformat = choice->fourcc;
        picture->width = choice->width ? choice->width : now.width;
        picture->height = choice->width ? choice->height : now.height;
        picture->field = field;
    }
    const int code = camera_ioctl(device->fd, VIDIOC_S_FMT, &format);
    if (code == 0 && device->is_multiplanar)
        take_multiple(&format.fmt.pix_mp, out_picture);
    else if (code == 0)
        take_single(&format.fmt.pix, out_picture);
    return code;
}

/* Rate. */

static struct shmframe_rational read_timings_rate(const struct camera_device *device) {
    struct v4l2_dv_timings timings;
    struct shmframe_rational rate = {0, 1};
    memset(&timings, 0, sizeof(timings));
    if (camera_ioctl(device->fd, VIDIOC_G_DV_TIMINGS, &timings) < 0 || !timings.bt.pixelclock)
        return rate;
    const struct v4l2_bt_timings *bt = &timings.bt;
    const int64_t columns = bt->width + bt->hfrontporch + bt->hsync + bt->hbackporch;
    const int64_t lines = bt->height + bt->vfrontporch + bt->vsync + bt->vbackporch +
                          bt->il_vfrontporch + bt->il_vsync + bt->il_vbackporch;
    if (columns && lines)
        av_reduce(&rate.num, &rate.den, (int64_t)bt->pixelclock, columns * lines, INT32_MAX);
    return rate;
}

static struct shmframe_rational read_standard_rate(const struct camera_device *device) {
    v4l2_std_id standard = 0;
    if (camera_ioctl(device->fd, VIDIOC_G_STD, &standard) < 0 || !standard)
        return (struct shmframe_rational){0, 1};
    return standard & V4L2_STD_525_60 ? (struct shmframe_rational){30000, 1001}
                                      : (struct shmframe_rational){25, 1};
}

/* The rate that the device has after it was asked for `wanted`. */
static struct shmframe_rational set_rate(const struct camera_device *device,
                                         struct shmframe_rational wanted) {
    struct v4l2_streamparm parameters = {.type = device->type};
    if (camera_ioctl(device->fd, VIDIOC_G_PARM, &parameters) == 0 &&
        (parameters.parm.capture.capability & V4L2_CAP_TIMEPERFRAME)) {
        struct v4l2_captureparm *capture = &parameters.parm.capture;
        if (wanted.num) {
            capture->timeperframe.numerator = (uint32_t)wanted.den;
            capture->timeperframe.denominator = (uint32_t)wanted.num;
            camera_ioctl(device->fd, VIDIOC_S_PARM, &parameters);
        }
        return to_rate(capture->timeperframe);
    }
    const struct shmframe_rational timings = read_timings_rate(device);
    return timings.num ? timings : read_standard_rate(device);
}

/* Width to height of a pixel. V4L2 tells it the other way round, and for what is captured before
 * the device scales it. */
static struct shmframe_rational read_aspect(const struct camera_device *device,
                                            const struct camera_picture *picture) {
    struct shmframe_rational aspect = {0, 1};
    struct v4l2_cropcap cropcap = {.type = device->type};
    struct v4l2_selection selection = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                       .target = V4L2_SEL_TGT_CROP};
    if (camera_ioctl(device->fd, VIDIOC_CROPCAP, &cropcap) < 0 || !cropcap.pixelaspect.numerator ||
        !cropcap.pixelaspect.denominator)
        return aspect;
    struct v4l2_rect captured = cropcap.defrect;
    if (camera_ioctl(device->fd, VIDIOC_G_SELECTION, &selection) == 0)
        captured = selection.r;
    if (!captured.width || !captured.height)
        return aspect;
    const AVRational pixel = {(int)cropcap.pixelaspect.denominator,
                              (int)cropcap.pixelaspect.numerator};
    const AVRational across = {(int)captured.width, (int)picture->width};
    const AVRational down = {(int)picture->height, (int)captured.height};
    const AVRational found = av_mul_q(pixel, av_mul_q(across, down));
    return (struct shmframe_rational){found.num, found.den};
}

static bool is_of_625_lines(const struct camera_device *device) {
    v4l2_std_id standard = 0;
    if (camera_ioctl(device->fd, VIDIOC_G_STD, &standard) == 0 && standard)
        return standard & V4L2_STD_625_50;
    return true; /* digital signals send the top field first, as those of 625 lines do */
}

/* Setting. */

static int explain_refusal(const struct camera_device *device, int code,
                           char why[CAMERA_WHY_BYTES]) {
    char holders[96] = "";
    if (code == -EBUSY) {
        camera_device_name_holders(device->path, holders, sizeof(holders));
        snprintf(why, CAMERA_WHY_BYTES, "%s: it is in use%s", device->path, holders);
    } else {
        snprintf(why, CAMERA_WHY_BYTES, "%s: its format cannot be set: %s", device->path,
                 strerror(-code));
    }
    return code;
}

static int check_taken(const struct camera_device *device, const struct camera_choice *choice,
                       const struct camera_picture *picture, char why[CAMERA_WHY_BYTES]) {
    if (picture->fourcc != choice->fourcc ||
        (choice->width && (picture->width != choice->width || picture->height != choice->height))) {
        snprintf(why, CAMERA_WHY_BYTES, "%s: it refuses %ux%u in %s, and offers %ux%u in %s",
                 device->path, choice->width, choice->height,
                 camera_fourcc_text(choice->fourcc).text, picture->width, picture->height,
                 camera_fourcc_text(picture->fourcc).text);
        return -ENOTSUP;
    }
    if (camera_format_field_order(picture) < 0) {
        snprintf(why, CAMERA_WHY_BYTES,
                 "%s: it captures fields apart from each other, which is not supported",
                 device->path);
        return -ENOTSUP;
    }
    return 0;
}

int camera_device_set_mode(struct camera_device *device, const struct camera_choice *choice,
                           struct camera_picture *out_picture, char why[CAMERA_WHY_BYTES]) {
    struct camera_picture picture;
    int result = set_format(device, choice, V4L2_FIELD_ANY, &picture);
    if (result == 0 && camera_format_field_order(&picture) < 0)
        result = set_format(device, choice, V4L2_FIELD_INTERLACED, &picture);
    if (result < 0)
        return explain_refusal(device, result, why);
    result = check_taken(device, choice, &picture, why);
    if (result < 0)
        return result;
    picture.frame_rate = set_rate(device, choice->rate);
    if (choice->rate.num && picture.frame_rate.num &&
        !camera_rate_is_near(choice->rate, picture.frame_rate)) {
        snprintf(why, CAMERA_WHY_BYTES, "%s: it refuses %.5g pictures a second, and offers %.5g",
                 device->path, (double)choice->rate.num / choice->rate.den,
                 (double)picture.frame_rate.num / picture.frame_rate.den);
        return -ENOTSUP;
    }
    picture.sample_aspect = read_aspect(device, &picture);
    picture.is_625 = is_of_625_lines(device);
    *out_picture = picture;
    return 0;
}
