#include "camera_device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libavutil/avstring.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const struct camera_device camera_device_none = {.fd = -1};

int camera_ioctl(int fd, unsigned long request, void *argument) {
    int result;
    do {
        result = ioctl(fd, request, argument);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

void camera_text_copy(char *out_text, size_t bytes, const void *text, size_t max) {
    const uint8_t *at = text, *end = at + strnlen(text, max);
    size_t used = 0;
    while (at < end) {
        const uint8_t *begin = at;
        int32_t code;
        const bool is_bad =
            av_utf8_decode(&code, &at, end, 0) < 0 || code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (is_bad)
            at = begin + 1;
        const size_t length = (size_t)(at - begin);
        if (used + length >= bytes)
            break;
        if (is_bad)
            out_text[used] = '?';
        else
            memmove(out_text + used, begin, length);
        used += length;
    }
    out_text[used] = 0;
}

/* Identity. */

/* The first line of a file below the node's place in sysfs. */
static void read_sysfs(dev_t node, const char *below, char *text, size_t bytes) {
    char path[128];
    snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/%s", major(node), minor(node), below);
    text[0] = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (!fgets(text, (int)bytes, file))
        text[0] = 0;
    text[strcspn(text, "\n")] = 0;
    camera_text_copy(text, bytes, text, bytes);
    fclose(file);
}

static void identify(struct camera_device *device, const struct v4l2_capability *capability,
                     dev_t node) {
    struct camera_identity *identity = &device->identity;
    char number[16];
    memset(identity, 0, sizeof(*identity));
    camera_text_copy(identity->driver, sizeof(identity->driver), capability->driver,
                     sizeof(capability->driver));
    camera_text_copy(identity->card, sizeof(identity->card), capability->card,
                     sizeof(capability->card));
    camera_text_copy(identity->bus, sizeof(identity->bus), capability->bus_info,
                     sizeof(capability->bus_info));
    read_sysfs(node, "index", number, sizeof(number));
    identity->node = (uint32_t)strtoul(number, NULL, 10);
    /* The node's device is a USB interface; the serial number is that of the device above. */
    read_sysfs(node, "device/../serial", identity->serial, sizeof(identity->serial));
}

/* Opening. */

static int explain_open(const char *path, int code, char why[CAMERA_WHY_BYTES]) {
    if (code == -ENOENT || code == -ENODEV || code == -ENXIO)
        snprintf(why, CAMERA_WHY_BYTES, "%s: no such device; --list shows those there are", path);
    else if (code == -EACCES || code == -EPERM)
        snprintf(why, CAMERA_WHY_BYTES,
                 "%s: permission denied; the group \"video\" usually may use it", path);
    else if (code == -EBUSY)
        snprintf(why, CAMERA_WHY_BYTES, "%s: it is busy", path);
    else
        snprintf(why, CAMERA_WHY_BYTES, "%s: %s", path, strerror(-code));
    return code;
}

static int look_at(struct camera_device *device, dev_t node, char why[CAMERA_WHY_BYTES]) {
    struct v4l2_capability capability;
    int result = camera_ioctl(device->fd, VIDIOC_QUERYCAP, &capability);
    if (result < 0) {
        snprintf(why, CAMERA_WHY_BYTES, "%s: %s", device->path,
                 result == -ENODEV ? "no such device; --list shows those there are"
                                   : "not a camera, nor any other video device");
        return result;
    }
    identify(device, &capability, node);
    const uint32_t caps = capability.capabilities & V4L2_CAP_DEVICE_CAPS ? capability.device_caps
                                                                         : capability.capabilities;
    device->is_multiplanar = caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE;
    device->type =
        device->is_multiplanar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
    const char *what = NULL;
    if (!(caps & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE)))
        what = "does not capture pictures";
    else if (!(caps & V4L2_CAP_STREAMING))
        what = "captures by read() only, which is not supported";
    if (what) {
        snprintf(why, CAMERA_WHY_BYTES, "%s: %s (%s) %s; --list shows those that do", device->path,
                 device->identity.card, device->identity.driver, what);
        return -ENOTSUP;
    }
    return 0;
}

int camera_device_open(struct camera_device *device, const char *path, char why[CAMERA_WHY_BYTES]) {
    *device = camera_device_none;
    snprintf(device->path, sizeof(device->path), "%s", path);
    struct stat info;
    if (stat(path, &info) < 0)
        return explain_open(path, -errno, why);
    if (!S_ISCHR(info.st_mode)) {
        snprintf(why, CAMERA_WHY_BYTES, "%s: not a device", path);
        return -ENOTTY;
    }
    device->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (device->fd < 0)
        return explain_open(path, -errno, why);
    const int result = look_at(device, info.st_rdev, why);
    if (result < 0)
        camera_device_close(device);
    return result;
}

void camera_device_close(struct camera_device *device) {
    if (device->fd >= 0)
        close(device->fd);
    device->fd = -1;
}

/* Finding. */

static int compare_numbers(const void *a, const void *b) {
    const uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

void camera_device_visit(bool (*visit)(void *user, struct camera_device *device), void *user) {
    uint32_t numbers[256], count = 0;
    DIR *folder = opendir("/dev");
    for (struct dirent *entry; folder && (entry = readdir(folder)) && count < 256;) {
        char rest;
        if (sscanf(entry->d_name, "video%u%c", &numbers[count], &rest) == 1)
            count++;
    }
    if (folder)
        closedir(folder);
    qsort(numbers, count, sizeof(numbers[0]), compare_numbers);
    bool goes_on = true;
    for (uint32_t i = 0; i < count && goes_on; i++) {
        char path[32], why[CAMERA_WHY_BYTES];
        struct camera_device device;
        snprintf(path, sizeof(path), "/dev/video%u", numbers[i]);
        if (camera_device_open(&device, path, why) < 0)
            continue;
        goes_on = visit(user, &device);
        camera_device_close(&device);
    }
}

static bool keep_first(void *user, struct camera_device *device) {
    struct camera_device *kept = user;
    *kept = *device;
    *device = camera_device_none;
    return false;
}

int camera_device_open_first(struct camera_device *device, char why[CAMERA_WHY_BYTES]) {
    *device = camera_device_none;
    camera_device_visit(keep_first, device);
    if (device->fd >= 0)
        return 0;
    snprintf(why, CAMERA_WHY_BYTES,
             "there is no camera in /dev/video* that may be used: "
             "plug one in, or let this user into the group video");
    return -ENODEV;
}

enum camera_fit camera_identity_compare(const struct camera_identity *wanted,
                                        const struct camera_identity *seen) {
    if (strcmp(wanted->driver, seen->driver) != 0 || strcmp(wanted->card, seen->card) != 0 ||
        strcmp(wanted->serial, seen->serial) != 0 || wanted->node != seen->node)
        return CAMERA_OTHER;
    if (strcmp(wanted->bus, seen->bus) == 0)
        return CAMERA_SAME;
    return wanted->serial[0] ? CAMERA_SAME_SERIAL : CAMERA_SAME_MODEL;
}

/* Whether somebody else uses it: its format cannot be set then, not even to what it is. */
static bool is_busy(const struct camera_device *device) {
    struct v4l2_format format = {.type = device->type};
    return camera_ioctl(device->fd, VIDIOC_G_FMT, &format) == 0 &&
           camera_ioctl(device->fd, VIDIOC_S_FMT, &format) == -EBUSY;
}

struct search {
    const struct camera_identity *identity;
    enum camera_fit fit; /* that is looked for */
    struct camera_device *found;
};

static bool keep_fitting(void *user, struct camera_device *device) {
    const struct search *search = user;
    if (camera_identity_compare(search->identity, &device->identity) != search->fit ||
        (search->fit != CAMERA_SAME && is_busy(device)))
        return true;
    return keep_first(search->found, device);
}

int camera_device_find(struct camera_device *device, const struct camera_identity *identity,
                       const char *path, char why[CAMERA_WHY_BYTES]) {
    *device = camera_device_none;
    for (enum camera_fit fit = CAMERA_SAME; fit >= CAMERA_SAME_SERIAL; fit--) {
        struct search search = {identity, fit, device};
        camera_device_visit(keep_fitting, &search);
        if (device->fd >= 0)
            return 0;
    }
    /* Without a serial number, it may have been plugged in somewhere else. */
    if (path && camera_device_open(device, path, why) == 0) {
        if (camera_identity_compare(identity, &device->identity) != CAMERA_OTHER)
            return 0;
        camera_device_close(device);
    }
    snprintf(why, CAMERA_WHY_BYTES, "%s is not there", identity->card);
    return -ENODEV;
}

void camera_device_name_holders(const char *path, char *text, size_t bytes) {
    struct stat wanted, seen;
    size_t used = 0;
    text[0] = 0;
    DIR *processes = stat(path, &wanted) == 0 ? opendir("/proc") : NULL;
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
        char folder[64], link[PATH_MAX], name[32] = "";
        const long pid = strtol(entry->d_name, NULL, 10);
        if (pid <= 0 || pid == getpid() || used >= bytes)
            continue;
        snprintf(folder, sizeof(folder), "/proc/%ld/fd", pid);
        DIR *descriptors = opendir(folder);
        bool is_holder = false;
        for (struct dirent *fd; descriptors && !is_holder && (fd = readdir(descriptors));) {
            char target[8] = "";
            snprintf(link, sizeof(link), "%s/%s", folder, fd->d_name);
            /* What is followed is a device only: on a file system that hangs, stat() would. */
            is_holder = readlink(link, target, sizeof(target) - 1) > 0 &&
                        strncmp(target, "/dev/", 5) == 0 && stat(link, &seen) == 0 &&
                        S_ISCHR(seen.st_mode) && seen.st_rdev == wanted.st_rdev;
        }
        if (descriptors)
            closedir(descriptors);
        if (!is_holder)
            continue;
        snprintf(link, sizeof(link), "/proc/%ld/comm", pid);
        FILE *file = fopen(link, "re");
        if (file && fgets(name, sizeof(name), file))
            name[strcspn(name, "\n")] = 0;
        if (file)
            fclose(file);
        used += (size_t)snprintf(text + used, bytes - used, "%s%ld %s", used ? ", " : " (held by ",
                                 pid, name);
    }
    if (processes)
        closedir(processes);
    if (used && used + 1 < bytes)
        snprintf(text + used, bytes - used, ")");
}
