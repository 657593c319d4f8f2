#include "sound_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count_channels(enum sound_direction direction, const PaDeviceInfo *info) {
    return direction == SOUND_INPUT ? info->maxInputChannels : info->maxOutputChannels;
}

static double find_latency_ms(enum sound_direction direction, const PaDeviceInfo *info,
                              bool is_high) {
    const double input_s = is_high ? info->defaultHighInputLatency : info->defaultLowInputLatency;
    const double output_s =
        is_high ? info->defaultHighOutputLatency : info->defaultLowOutputLatency;
    return 1e3 * (direction == SOUND_INPUT ? input_s : output_s);
}

/* NULL: no device has that number, or it has no channels in that direction. */
static const PaDeviceInfo *find_device(enum sound_direction direction, long number) {
    if (number < 0 || number >= Pa_GetDeviceCount())
        return NULL;
    const PaDeviceInfo *info = Pa_GetDeviceInfo((int)number);
    return info && count_channels(direction, info) > 0 ? info : NULL;
}

static int find_default(enum sound_direction direction) {
    return direction == SOUND_INPUT ? Pa_GetDefaultInputDevice() : Pa_GetDefaultOutputDevice();
}

static const char *name_api(const PaDeviceInfo *info) {
    return Pa_GetHostApiInfo(info->hostApi)->name;
}

static void tell_what_there_is(enum sound_direction direction, char *text, size_t bytes) {
    size_t used = strlen(text);
    bool is_any = false;
    for (int i = 0; i < Pa_GetDeviceCount() && used < bytes; i++) {
        const PaDeviceInfo *info = find_device(direction, i);
        if (!info)
            continue;
        used += (size_t)snprintf(text + used, bytes - used, "%s%d \"%s\"", is_any ? ", " : "", i,
                                 info->name);
        is_any = true;
    }
    if (!is_any)
        snprintf(text + used, bytes - used, "none");
}

static int find_by_whole_name(enum sound_direction direction, const char *wanted) {
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_device(direction, i);
        if (info && strcmp(info->name, wanted) == 0)
            return i;
    }
    return -1;
}

static int find_by_name(enum sound_direction direction, const char *wanted) {
    int part = find_by_whole_name(direction, wanted), parts = 0;
    for (int i = 0; i < Pa_GetDeviceCount() && (part < 0 || parts > 0); i++) {
        const PaDeviceInfo *info = find_device(direction, i);
        if (info && strcasestr(info->name, wanted)) {
            part = i;
            parts++;
        }
    }
    return parts <= 1 ? part : -1;
}

/* False: it is a name. LONG_MAX, which no device has: the number is larger. */
static bool parse_number(const char *text, long *out_number) {
    char *end;
    *out_number = strtol(text, &end, 10);
    return *text && !*end;
}

int sound_device_find(enum sound_direction direction, const char *wanted, char *out_trouble,
                      size_t trouble_bytes) {
    const char *kind = direction == SOUND_INPUT ? "input" : "output";
    long found;
    if (!wanted) {
        found = find_default(direction);
        if (find_device(direction, found))
            return (int)found;
        snprintf(out_trouble, trouble_bytes, "there is no default %s device; there are: ", kind);
    } else {
        /* Devices may be called "3", too. */
        const int named = find_by_whole_name(direction, wanted);
        const bool is_number = parse_number(wanted, &found);
        if (named >= 0)
            return named;
        if (!is_number)
            found = find_by_name(direction, wanted);
        if (find_device(direction, found))
            return (int)found;
        snprintf(out_trouble, trouble_bytes, "no %s device is %s\"%s\"; there are: ", kind,
                 is_number ? "number " : "", wanted);
    }
    tell_what_there_is(direction, out_trouble, trouble_bytes);
    return -1;
}

int sound_device_find_again(enum sound_direction direction, const char *wanted, const char *name,
                            PaHostApiTypeId system) {
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_device(direction, i);
        if (info && Pa_GetHostApiInfo(info->hostApi)->type == system &&
            strncmp(info->name, name, SOUND_NAME_BYTES - 1) == 0)
            return i;
    }
    long number;
    return wanted && !parse_number(wanted, &number) ? find_by_name(direction, wanted) : -1;
}

/* JSON knows no other bytes than UTF-8's. */
static json_t *make_text(const char *text) {
    json_t *string = json_string(text);
    if (string)
        return string;
    char ascii[SOUND_NAME_BYTES];
    snprintf(ascii, sizeof(ascii), "%s", text);
    for (char *byte = ascii; *byte; byte++)
        *byte = (unsigned char)*byte < 0x80 ? *byte : '?';
    return json_string(ascii);
}

json_t *sound_device_list(enum sound_direction direction) {
    json_t *devices = json_array();
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_device(direction, i);
        if (!info)
            continue;
        json_array_append_new(devices,
                              json_pack("{s:i, s:o, s:s, s:b, s:i, s:f, s:f, s:f}", "number", i,
                                        "name", make_text(info->name), "system", name_api(info),
                                        "default", i == find_default(direction), "channels",
                                        count_channels(direction, info), "sample_rate",
                                        info->defaultSampleRate, "low_latency_ms",
                                        find_latency_ms(direction, info, false), "high_latency_ms",
                                        find_latency_ms(direction, info, true)));
    }
    return devices;
}

bool sound_device_print(enum sound_direction direction) {
    bool is_any = false;
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = find_device(direction, i);
        if (!info)
            continue;
        is_any = true;
        printf("%d \"%s\" (%s): %d channels, %.0f Hz, latency %.1f to %.1f ms%s\n", i, info->name,
               name_api(info), count_channels(direction, info), info->defaultSampleRate,
               find_latency_ms(direction, info, false), find_latency_ms(direction, info, true),
               i == find_default(direction) ? ", the default" : "");
    }
    return is_any;
}
