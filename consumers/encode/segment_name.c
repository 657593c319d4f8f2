#include "segment_name.h"

#include "fault.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Length of a %d, %3d or %03d at `at`, with its width; 0: it is none. */
static size_t find_digits(const char *at, int *out_width) {
    size_t length = 1;
    *out_width = 0;
    if (*at != '%')
        return 0;
    while (isdigit((unsigned char)at[length]) && length < 4)
        *out_width = *out_width * 10 + (at[length++] - '0');
    return at[length] == 'd' && (length == 1 || at[1] == '0') ? length + 1 : 0;
}

static bool has_time(const char *pattern) {
    int width;
    for (const char *at = pattern; *at; at += at[0] == '%' && at[1] ? 2 : 1)
        if (*at == '%' && at[1] != '%' && !find_digits(at, &width))
            return true;
    return false;
}

/* As find_digits(): %d is strftime's day of the month where the pattern has a time. */
static size_t find_number(const char *at, bool is_timed, int *out_width) {
    const size_t length = find_digits(at, out_width);
    return is_timed && length == 2 ? 0 : length;
}

bool segment_name_has_number(const char *pattern) {
    const bool is_timed = has_time(pattern);
    int width;
    for (const char *at = pattern; *at; at += at[0] == '%' && at[1] ? 2 : 1)
        if (find_number(at, is_timed, &width))
            return true;
    return false;
}

/* Only letters of strftime(3): it does with others what it likes. */
static bool is_time_letter(char letter) {
    return letter && strchr("aAbBcCdDeFgGhHIjkmMnpPrRsSTuUVwWxXyYzZ", letter);
}

static int append(char out[RECORDING_PATH_BYTES], const char *text, size_t length) {
    const size_t used = strlen(out);
    if (used + length >= RECORDING_PATH_BYTES)
        return fault_set(-EINVAL, "the name of the file is too long");
    memcpy(out + used, text, length);
    out[used + length] = '\0';
    return 0;
}

static int expand(const char *pattern, uint32_t number, const struct tm *time,
                  char out[RECORDING_PATH_BYTES]) {
    const bool is_timed = has_time(pattern);
    int result = 0;
    out[0] = '\0';
    for (const char *at = pattern; *at && result == 0;) {
        char text[128];
        int width;
        const size_t length = find_number(at, is_timed, &width);
        if (length) {
            snprintf(text, sizeof(text), "%0*u", width < 20 ? width : 20, number);
            result = append(out, text, strlen(text));
            at += length;
        } else if (*at == '%' && at[1] == '%') {
            result = append(out, "%", 1);
            at += 2;
        } else if (*at == '%' && is_time_letter(at[1])) {
            const char letter[] = {'%', at[1], '\0'};
            result = append(out, text, strftime(text, sizeof(text), letter, time));
            at += 2;
        } else if (*at == '%') {
            return fault_set(-EINVAL,
                             "%s: \"%%%.1s\" means nothing in a name: %%03d is the number, "
                             "%%H and so on the time, %%%% a percent sign",
                             pattern, at + 1);
        } else {
            result = append(out, at++, 1);
        }
    }
    return result;
}

/* In front of the ending of the last part of the path. */
static int insert(char path[RECORDING_PATH_BYTES], const char *text) {
    char ending[RECORDING_PATH_BYTES];
    char *slash = strrchr(path, '/');
    char *name = slash ? slash + 1 : path;
    char *dot = strrchr(name, '.');
    if (!dot || dot == name)
        dot = name + strlen(name);
    snprintf(ending, sizeof(ending), "%s", dot);
    *dot = '\0';
    const int result = append(path, text, strlen(text));
    return result < 0 ? result : append(path, ending, strlen(ending));
}

int segment_name_make(const char *pattern, enum segment_name_addition addition, uint32_t number,
                      time_t time, char out_path[RECORDING_PATH_BYTES]) {
    struct tm parts;
    char text[64] = "";
    localtime_r(&time, &parts);
    int result = expand(pattern, number, &parts, out_path);
    if (result < 0 || segment_name_has_number(pattern))
        return result;
    const bool is_timed = has_time(pattern);
    if (addition == SEGMENT_NAME_NUMBER && !is_timed)
        snprintf(text, sizeof(text), "-%03u", number);
    if (addition == SEGMENT_NAME_TIME && !is_timed)
        strftime(text, sizeof(text), "-%Y%m%d-%H%M%S", &parts);
    if ((is_timed || addition == SEGMENT_NAME_TIME) && number > 1)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "-%u", number);
    return text[0] ? insert(out_path, text) : 0;
}
