/* Camera: a device, its queue and its stream, from setting up to the frames.
 *
 *   camera_set_up()         the device, which is open
 *   camera_find_format()    what it will send
 *   camera_start()          with the stream opened
 *     camera_serve()        when the queue's descriptor is readable
 *     camera_fill_queue()
 *     camera_recover()      when any of them failed
 *   camera_shut_down()
 *
 * Functions return 0 or a negative errno, most with the reason in `why`; -EINTR: asked to stop.
 */
#ifndef PRODUCERS_CAMERA_H
#define PRODUCERS_CAMERA_H

#include "camera_clock.h"
#include "camera_codec.h"
#include "camera_queue.h"
#include "camera_setting.h"
#include "producer.h"

/* Slots that the driver has: one that it fills, and some while we do not run. */
enum { CAMERA_QUEUED = 4 };

/* Loans of the stream, at least: a camera that comes back may send raw pictures, or those of a
 * codec without references, such as Motion JPEG. Each costs a picture's memory: there are no more
 * for a codec that may never come; its pictures are copied then where they lack a slot. */
enum { CAMERA_LOANS = CAMERA_QUEUED + 1 };

struct camera {
    const char *path; /* as asked for; NULL: the first device */
    struct camera_wish wish;
    int32_t input; /* -1: as it is */
    enum camera_io io;
    struct producer producer;
    struct producer_stream *stream;
    struct camera_device device;
    struct camera_identity identity;
    struct camera_settings settings;
    struct camera_picture picture;
    struct camera_layout layout;   /* of raw pictures */
    struct shmframe_format format; /* of what is published */
    uint32_t skip_bytes[CAMERA_PLANES_MAX];
    bool is_compressed;
    bool is_userptr_refused; /* of some slot's memory */
    uint32_t moves;          /* of where pictures begin in their memory */
    struct camera_codec codec;
    struct camera_queue queue;
    struct camera_clock clock;
    int64_t first_ns;  /* captured first; 0: none yet */
    int64_t newest_ns; /* when a picture came last, or was begun to be waited for */
    struct shmframe_decoder_counters copies;
    char copied_why[CAMERA_WHY_BYTES];
    /* Since the last good picture: */
    bool is_failing;
    uint32_t tries; /* to set it up again */
    char told[CAMERA_WHY_BYTES + 16];
    /* What is told once. */
    bool is_bad_told, is_undecoded_told, is_silence_told, is_setting_told;
};

int camera_set_up(struct camera *camera, char why[CAMERA_WHY_BYTES]);
/* Captures, if it takes a picture to know the format. */
int camera_find_format(struct camera *camera, char why[CAMERA_WHY_BYTES]);
int camera_start(struct camera *camera, char why[CAMERA_WHY_BYTES]);

/* Lends the driver slots. Errors: as camera_queue_add(). Without a free slot it has fewer, and
 * `out_is_short` (NULL: of no interest) says so. */
int camera_fill_queue(struct camera *camera, bool *out_is_short);
/* Whether the driver has fewer slots than it should. */
bool camera_is_short(const struct camera *camera);
/* Tells what is wrong; what was told last, since the last good picture, is not told again. */
void camera_tell(struct camera *camera, const char *why);

/* Gives everything up that belongs to the device, which may be gone. */
void camera_shut_down(struct camera *camera);

/* Why a picture is not to be used. False: it is good, as far as its driver tells. */
bool camera_find_fault(const struct camera *camera, const struct camera_taken *taken,
                       char why[CAMERA_WHY_BYTES]);

/* Begins again in place: pictures begin elsewhere in their memory. Errors: -ECANCELED, told. */
int camera_move(struct camera *camera);

/* Sets the device up anew, as soon as it is there. False: asked to stop, or the time is over. */
bool camera_recover(struct camera *camera);

/* Publishes what is there. Errors: the device must be set up again. */
int camera_serve(struct camera *camera);

#endif
