#include "sound_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL: no device has that number, or it records nothing. */
static const PaDeviceInfo *find_input(long number) {
    if (number < 0 || number >= Pa_GetDeviceCount())
        return NULL;
    const PaDeviceInfo *info = Pa_GetDeviceInfo((int)number);
    return info && info->maxInputChannels > 0 ? info : NULL;
}

static const char *name_api(const PaDeviceInfo *info) {
    return Pa_GetHostApiInfo(info->hostApi)->name;
}

static void tell_what_there_is(char *text, size_t bytes) {
    size_t used = strlen(text);
    bool is_any = false;
    for (int i = 0; i < Pa_GetDeviceCount() && used < bytes; i++) {
        const PaDeviceInfo *info = find_input(i);
        if (!info)
            continue;
        used += (size_t)snprintf(text + used, bytes - used, "%s%d \"%s\"", is_any ? ", " : "", i,
                                 info->name);
        is_any = true;
    }
    if (!is_any)
        snprintf(text + used, bytes - used, "none");
}

static int find_by_name(const char *wanted) {
    int part = -1, parts = 0;
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_input(i);
        if (!info)
            continue;
        if (strcmp(info->name, wanted) == 0)
            return i;
        if (strcasestr(info->name, wanted)) {
            part = i;
            parts++;
        }
    }
    return parts == 1 ? part : -1;
}

/* False: it is a name. LONG_MAX, which no device has: the number is larger. */
static bool parse_number(const char *text, long *out_number) {
    char *end;
    *out_number = strtol(text, &end, 10);
    return *text && !*end;
}

int sound_device_find(const char *wanted, char *out_trouble, size_t trouble_bytes) {
    long found;
    if (!wanted) {
        found = Pa_GetDefaultInputDevice();
        if (find_input(found))
            return (int)found;
        snprintf(out_trouble, trouble_bytes, "there is no default input device; there are: ");
    } else {
        const bool is_number = parse_number(wanted, &found);
        if (!is_number)
            found = find_by_name(wanted);
        if (find_input(found))
            return (int)found;
        snprintf(out_trouble, trouble_bytes,
                 "no input device is %s\"%s\"; there are: ", is_number ? "number " : "", wanted);
    }
    tell_what_there_is(out_trouble, trouble_bytes);
    return -1;
}

int sound_device_find_again(const char *wanted, const char *name, PaHostApiTypeId system) {
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_input(i);
        if (info && Pa_GetHostApiInfo(info->hostApi)->type == system &&
            strcmp(info->name, name) == 0)
            return i;
    }
    long number;
    return wanted && !parse_number(wanted, &number) ? find_by_name(wanted) : -1;
}

json_t *sound_device_list(void) {
    json_t *devices = json_array();
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_input(i);
        if (!info)
            continue;
        json_array_append_new(
            devices,
            json_pack("{s:i, s:s, s:s, s:b, s:i, s:f, s:f, s:f}", "number", i, "name", info->name,
                      "system", name_api(info), "default", i == Pa_GetDefaultInputDevice(),
                      "channels", info->maxInputChannels, "sample_rate", info->defaultSampleRate,
                      "low_latency_ms", info->defaultLowInputLatency * 1e3, "high_latency_ms",
                      info->defaultHighInputLatency * 1e3));
    }
    return devices;
}

bool sound_device_print(void) {
    bool is_any = false;
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_input(i);
        if (!info)
            continue;
        is_any = true;
        printf("%d \"%s\" (%s): %d channels, %.0f Hz, latency %.1f to %.1f ms%s\n", i, info->name,
               name_api(info), info->maxInputChannels, info->defaultSampleRate,
               info->defaultLowInputLatency * 1e3, info->defaultHighInputLatency * 1e3,
               i == Pa_GetDefaultInputDevice() ? ", the default" : "");
    }
    return is_any;
}
