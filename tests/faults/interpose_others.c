/* Interpose: calls of libsystemd and libavutil that take memory or descriptors. Declared as far as
 * they are passed on, so that this needs neither. */
#include "meet.h"

#include <stddef.h>

#define STAND_TOLD(name, parameters, ...)                                                          \
    int name parameters;                                                                           \
    int name parameters {                                                                          \
        const int met = MEET(name);                                                                \
        return met ? -met : REAL(name, int(*) parameters)(__VA_ARGS__);                            \
    }
#define STAND_MADE(name, parameters, ...)                                                          \
    void *name parameters;                                                                         \
    void *name parameters {                                                                        \
        return MEET(name) ? NULL : REAL(name, void *(*)parameters)(__VA_ARGS__);                   \
    }

typedef int handler(void);

STAND_TOLD(sd_event_new, (void **out_event), out_event)
STAND_TOLD(sd_event_add_io,
           (void *event, void **out, int fd, uint32_t events, handler *act, void *user), event, out,
           fd, events, act, user)
STAND_TOLD(sd_event_add_time,
           (void *event, void **out, int clock, uint64_t usec, uint64_t accuracy, handler *act,
            void *user),
           event, out, clock, usec, accuracy, act, user)
STAND_TOLD(sd_event_add_time_relative,
           (void *event, void **out, int clock, uint64_t usec, uint64_t accuracy, handler *act,
            void *user),
           event, out, clock, usec, accuracy, act, user)
STAND_TOLD(sd_event_add_post, (void *event, void **out, handler *act, void *user), event, out, act,
           user)
STAND_TOLD(sd_event_add_signal, (void *event, void **out, int number, handler *act, void *user),
           event, out, number, act, user)
STAND_TOLD(sd_event_source_set_priority, (void *source, int64_t priority), source, priority)

STAND_MADE(av_mallocz, (size_t bytes), bytes)
STAND_MADE(av_calloc, (size_t count, size_t bytes), count, bytes)
STAND_MADE(av_buffer_create,
           (void *data, size_t bytes, void (*release)(void *, uint8_t *), void *user, int flags),
           data, bytes, release, user, flags)
STAND_MADE(av_buffer_ref, (const void *buffer), buffer)
STAND_MADE(av_frame_alloc, (void), )
STAND_MADE(av_frame_clone, (const void *frame), frame)
STAND_MADE(av_frame_new_side_data, (void *frame, int type, size_t bytes), frame, type, bytes)
STAND_MADE(av_mastering_display_metadata_create_side_data, (void *frame), frame)
STAND_MADE(av_content_light_metadata_create_side_data, (void *frame), frame)
