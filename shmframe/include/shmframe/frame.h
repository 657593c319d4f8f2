/* Frames: the stamps that travel with each picture, block of samples or datum. Plain data. */
#ifndef SHMFRAME_FRAME_H
#define SHMFRAME_FRAME_H

#include <shmframe/format.h>

SHMFRAME_BEGIN

#define SHMFRAME_STAGES 8      /**< application stage stamps a frame */
#define SHMFRAME_USER_BYTES 64 /**< bytes of user data a frame */
/** pts of a frame that has none; the same value as AV_NOPTS_VALUE. */
#define SHMFRAME_NO_PTS INT64_MIN

enum shmframe_frame_flag {
    SHMFRAME_KEY = 1 << 0,             /**< can be understood without earlier ones (data streams) */
    SHMFRAME_DISCONTINUITY = 1 << 1,   /**< time or content jumps before this frame */
    SHMFRAME_INTERLACED = 1 << 2,      /**< this picture holds two fields */
    SHMFRAME_TOP_FIELD_FIRST = 1 << 3, /**< with INTERLACED: the upper field is the earlier one */
    SHMFRAME_HAS_ORIGIN = 1 << 8,      /**< `origin` counts */
    SHMFRAME_HAS_STAGES = 1 << 9,      /**< `stage_ns` counts */
    SHMFRAME_HAS_USER = 1 << 10,       /**< `user` counts */
};

/** The first source of a frame that came through filters. */
struct shmframe_origin {
    uint64_t sequence;
    int64_t capture_ns;
    char stream[SHMFRAME_NAME_BYTES];
};

/** The stamps of one frame. In a loan the program fills what is marked (w); the library does the
 * rest in publish. In a lease all is filled. `origin`, `stage_ns` and `user` count only if the
 * flag says so. */
struct shmframe_frame {
    uint64_t sequence;       /**< number in its stream, from 1, without gaps */
    int64_t capture_ns;      /**< (w) when light or sound met the device; default: time of the loan */
    int64_t loan_ns;         /**< when the slot was loaned */
    int64_t publish_ns;      /**< when it was published */
    int64_t pts;             /**< (w) presentation time in time_base units; default SHMFRAME_NO_PTS */
    int64_t duration;        /**< (w) in time_base units; 0: unknown */
    uint32_t bytes;          /**< (w) valid payload of data streams; default: the whole slot */
    uint32_t samples;        /**< (w) valid samples a channel of audio streams; default: all */
    uint32_t flags;          /**< (w) enum shmframe_frame_flag */
    uint32_t device_dropped; /**< (w) frames that device or producer lost just before this one */
    struct shmframe_origin origin;     /**< (w) see shmframe_loan_carry() */
    int64_t stage_ns[SHMFRAME_STAGES]; /**< (w) instants of the program's own choice; 0: not passed */
    uint8_t user[SHMFRAME_USER_BYTES]; /**< (w) the program's own bytes */
};

SHMFRAME_END

#endif
