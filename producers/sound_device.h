/* Sound devices that can be recorded from, as PortAudio knows them between sound_system_start() and
 * sound_system_stop(). */
#ifndef PRODUCERS_SOUND_DEVICE_H
#define PRODUCERS_SOUND_DEVICE_H

#include <jansson.h>
#include <portaudio.h>
#include <stdbool.h>
#include <stddef.h>

/* The number of the input device that `wanted` means: its number, its name, or a part of a name
 * that only one has; NULL: the default. Negative: there is none, and `out_trouble` says what there
 * is. */
int sound_device_find(const char *wanted, char *out_trouble, size_t trouble_bytes);

/* The number that the device `name` of the sound system `system` has now, after it was found by
 * `wanted`. Numbers and the default may mean another one by then; a part of a name finds a device
 * that came back as another card. Negative: it is not there. */
int sound_device_find_again(const char *wanted, const char *name, PaHostApiTypeId system);

/* An array of objects, one a device. */
json_t *sound_device_list(void);
/* The same in words. False: there is none. */
bool sound_device_print(void);

#endif
