/* Sound devices that can be recorded from or played to, as PortAudio knows them between
 * sound_system_start() and sound_system_stop(). */
#ifndef COMMON_SOUND_DEVICE_H
#define COMMON_SOUND_DEVICE_H

#include <jansson.h>
#include <portaudio.h>
#include <stdbool.h>
#include <stddef.h>

/* Of a device's name, with its end: what is longer is cut, and found again by what is left. */
enum { SOUND_NAME_BYTES = 512 };

enum sound_direction {
    SOUND_INPUT = 0,
    SOUND_OUTPUT = 1,
};

/* The number of the device that `wanted` means: its name, its number, or a part of a name that only
 * one has; NULL: the default. Negative: there is none, and `out_trouble` says what there
 * is. */
int sound_device_find(enum sound_direction direction, const char *wanted, char *out_trouble,
                      size_t trouble_bytes);

/* The number that the device `name` of the sound system `system` has now, after it was found by
 * `wanted`. Numbers and the default may mean another one by then; a part of a name finds a device
 * that came back as another card. Negative: it is not there. */
int sound_device_find_again(enum sound_direction direction, const char *wanted, const char *name,
                            PaHostApiTypeId system);

/* An array of objects, one a device. Of a name that is not UTF-8 only the ASCII part is told. */
json_t *sound_device_list(enum sound_direction direction);
/* The same in words. False: there is none. */
bool sound_device_print(enum sound_direction direction);

#endif
