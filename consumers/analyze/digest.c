#include "digest.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* What of an interval is worth a place on its line, in this order. */
static const struct {
    const char *name, *label, *unit;
    int digits;
} shown[] = {
    {"momentary_lufs", "M", "", 1},
    {"short_term_lufs", "S", "", 1},
    {"integrated_lufs", "I", " LUFS", 1},
    {"loudness_range_lu", "range", " LU", 1},
    {"true_peak_dbtp", "true peak", " dBTP", 1},
    {"correlation", "correlation", "", 2},
    {"luma_min", "luma", "", 0},
    {"luma_mean", "mean", "", 1},
    {"luma_max", "to", "", 0},
    {"psnr_avg_db", "PSNR", " dB", 2},
    {"ssim_all", "SSIM", "", 4},
};

/* What is worth one only if it is not 0, or true. */
static const struct {
    const char *name, *label;
} told[] = {
    {"clips", "clips"},
    {"not_finite_samples", "samples are not finite"},
    {"lost_frames", "lost"},
    {"device_dropped_frames", "dropped by the device"},
    {"is_silent", "silent"},
    {"is_black", "black"},
    {"is_frozen", "frozen"},
    {"scene_cuts", "scene cuts"},
    {"unmatched", "without a partner"},
};

static void append(char text[DIGEST_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(char text[DIGEST_BYTES], const char *format, ...) {
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, DIGEST_BYTES - used, format, arguments);
    va_end(arguments);
}

static const char *separator(const char *text) {
    return text[0] ? ", " : "";
}

void digest_describe_interval(const json_t *object, char text[DIGEST_BYTES]) {
    text[0] = '\0';
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        const json_t *value = json_object_get(object, shown[i].name);
        if (json_is_number(value))
            append(text, "%s%s %.*f%s", separator(text), shown[i].label, shown[i].digits,
                   json_number_value(value), shown[i].unit);
        else if (json_is_null(value))
            append(text, "%s%s -", separator(text), shown[i].label);
    }
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        const json_t *value = json_object_get(object, told[i].name);
        if (json_is_true(value))
            append(text, "%s%s", separator(text), told[i].label);
        else if (json_is_integer(value) && json_integer_value(value) > 0)
            append(text, "%s%" JSON_INTEGER_FORMAT " %s", separator(text),
                   json_integer_value(value), told[i].label);
    }
}

static void append_value(char text[DIGEST_BYTES], const json_t *value) {
    if (json_is_integer(value))
        append(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        append(text, "%.6g", json_real_value(value));
    else if (json_is_string(value))
        append(text, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        append(text, json_is_true(value) ? "yes" : "no");
    else
        append(text, "-");
}

static void append_words(char text[DIGEST_BYTES], const char *name) {
    append(text, "%s", name);
    for (char *at = text; *at; at++)
        *at = *at == '_' ? ' ' : *at;
}

static bool is_heading(const char *name) {
    static const char *const names[] = {"event", "span", "stream", "kind", "time_s", "begin_s"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

void digest_describe_event(const json_t *object, char text[DIGEST_BYTES]) {
    text[0] = '\0';
    const char *event = json_string_value(json_object_get(object, "event"));
    append_words(text, event);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        if (is_heading(name) || json_is_object(value) || json_is_array(value))
            continue;
        if (strcmp(name, event) == 0) /* "format 48000 Hz stereo flt" */
            append(text, " ");
        else
            append(text, ", %s ", name);
        append_value(text, value);
    }
}

static double find_time(const json_t *object) {
    static const char *const names[] = {"end_s", "time_s", "begin_s", "start_s"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (json_object_get(object, names[i]))
            return json_number_value(json_object_get(object, names[i]));
    return 0;
}

static void print_channels(FILE *file, const json_t *channels) {
    fprintf(file, "  %-8s %10s %10s %10s %10s %6s\n", "channel", "true peak", "peak", "RMS",
            "DC offset", "clips");
    size_t i;
    json_t *channel;
    json_array_foreach((json_t *)channels, i, channel) {
        static const char *const names[] = {"true_peak_dbtp", "sample_peak_dbfs", "rms_dbfs"};
        fprintf(file, "  %-8s", json_string_value(json_object_get(channel, "name")));
        for (size_t k = 0; k < 3; k++) {
            const json_t *value = json_object_get(channel, names[k]);
            if (json_is_number(value))
                fprintf(file, " %10.1f", json_number_value(value));
            else
                fprintf(file, " %10s", "-inf");
        }
        fprintf(file, " %10.6f %6" JSON_INTEGER_FORMAT "\n",
                json_number_value(json_object_get(channel, "dc_offset")),
                json_integer_value(json_object_get(channel, "clips")));
    }
}

static bool ends_with(const char *text, const char *end) {
    const size_t bytes = strlen(text), end_bytes = strlen(end);
    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* Checksums are for programs; nothing beyond what is legal is what everyone expects. */
static bool is_for_json(const char *name, const json_t *value) {
    if (strncmp(name, "adler32_", 8) == 0)
        return true;
    return (ends_with(name, "_below_share") || ends_with(name, "_above_share")) &&
           json_number_value(value) == 0;
}

static void print_total(FILE *file, const json_t *object) {
    const char *name;
    json_t *value;
    fprintf(file, "%s, the whole\n", json_string_value(json_object_get(object, "stream")));
    json_object_foreach((json_t *)object, name, value) {
        char text[DIGEST_BYTES] = "";
        if (is_heading(name) || is_for_json(name, value) || json_is_object(value) ||
            json_is_array(value))
            continue;
        append_value(text, value);
        fprintf(file, "  %-24s %s\n", name, text);
    }
    const json_t *channels = json_object_get(object, "channels");
    if (channels)
        print_channels(file, channels);
}

void digest_print(FILE *file, const json_t *object) {
    char text[DIGEST_BYTES];
    const char *span = json_string_value(json_object_get(object, "span"));
    if (span && strcmp(span, "total") == 0) {
        print_total(file, object);
        return;
    }
    if (span)
        digest_describe_interval(object, text);
    else
        digest_describe_event(object, text);
    fprintf(file, "%s %.2f s: %s\n", json_string_value(json_object_get(object, "stream")),
            find_time(object), text);
}
