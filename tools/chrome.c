#include "chrome.h"

#include "program.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Above any number that the kernel gives to a thread: viewers take a track's number for one. */
enum { FIRST_TRACK = 1 << 23 };

void chrome_quote(const char *text, char *quoted, size_t quoted_bytes) {
    size_t used = 0;
    quoted[used++] = '"';
    for (; *text && used + 4 <= quoted_bytes; text++) {
        if (*text == '"' || *text == '\\')
            quoted[used++] = '\\';
        quoted[used++] = *text >= ' ' && *text <= '~' ? *text : '?';
    }
    quoted[used++] = '"';
    quoted[used] = '\0';
}

static void begin_event(struct chrome *chrome) {
    fputs(chrome->events++ ? ",\n" : "\n", chrome->file);
}

/* Microseconds, to the nanosecond. */
static void print_time(struct chrome *chrome, const char *key, int64_t time_ns) {
    const bool is_negative = time_ns < 0;
    const uint64_t ns = is_negative ? -(uint64_t)time_ns : (uint64_t)time_ns;
    fprintf(chrome->file, ",\"%s\":%s%" PRIu64 ".%03u", key, is_negative ? "-" : "", ns / 1000,
            (unsigned)(ns % 1000));
}

void chrome_begin(struct chrome *chrome, FILE *file) {
    *chrome = (struct chrome){.file = file};
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", file);
}

void chrome_end(struct chrome *chrome, const char *more) {
    fprintf(chrome->file, "\n],\"otherData\":%s}\n", more);
    free(chrome->named);
    chrome->named = NULL;
}

static void add_name(struct chrome *chrome, const char *kind, int32_t pid, uint32_t track,
                     const char *name) {
    char quoted[2 * CHROME_NAME_BYTES];
    chrome_quote(name, quoted, sizeof(quoted));
    begin_event(chrome);
    fprintf(chrome->file,
            "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%" PRId32 ",\"tid\":%" PRIu32
            ",\"args\":{\"name\":%s}}",
            kind, pid, track, quoted);
}

void chrome_name_process(struct chrome *chrome, int32_t pid, const char *name) {
    for (size_t i = 0; i < chrome->named_count; i++)
        if (chrome->named[i] == pid)
            return;
    int32_t *named = realloc(chrome->named, (chrome->named_count + 1) * sizeof(*named));
    if (!named)
        program_fail("no memory for the names of %zu processes", chrome->named_count + 1);
    named[chrome->named_count++] = pid;
    chrome->named = named;
    add_name(chrome, "process_name", pid, (uint32_t)pid, name);
}

void chrome_lanes_init(struct chrome_lanes *lanes, int32_t pid, const char *name) {
    *lanes = (struct chrome_lanes){.pid = pid};
    snprintf(lanes->name, sizeof(lanes->name), "%s", name);
}

static unsigned add_lane(struct chrome *chrome, struct chrome_lanes *lanes) {
    const unsigned number = lanes->count++;
    lanes->lane[number].track = FIRST_TRACK + chrome->tracks++;
    char name[CHROME_NAME_BYTES + 16];
    snprintf(name, sizeof(name), number ? "%s (%u)" : "%s", lanes->name, number + 1);
    add_name(chrome, "thread_name", lanes->pid, lanes->lane[number].track, name);
    return number;
}

uint32_t chrome_take_lane(struct chrome *chrome, struct chrome_lanes *lanes, int64_t *begin_ns,
                          int64_t end_ns) {
    unsigned chosen = 0;
    while (chosen < lanes->count && lanes->lane[chosen].end_ns > *begin_ns)
        chosen++;
    if (chosen == lanes->count && lanes->count < CHROME_LANES_MAX) {
        chosen = add_lane(chrome, lanes);
    } else if (chosen == lanes->count) {
        chosen = 0;
        for (unsigned i = 1; i < lanes->count; i++)
            if (lanes->lane[i].end_ns < lanes->lane[chosen].end_ns)
                chosen = i;
        *begin_ns = lanes->lane[chosen].end_ns;
    }
    if (lanes->lane[chosen].end_ns < end_ns)
        lanes->lane[chosen].end_ns = end_ns;
    return lanes->lane[chosen].track;
}

/* All but the end of the object. */
static void print_event(struct chrome *chrome, const char *phase, const struct chrome_slice *slice,
                        int64_t time_ns) {
    begin_event(chrome);
    fprintf(chrome->file, "{\"ph\":\"%s\",\"cat\":\"shmframe\",\"name\":\"%s", phase, slice->name);
    if (slice->sequence)
        fprintf(chrome->file, " %" PRIu64, slice->sequence);
    fprintf(chrome->file, "\",\"pid\":%" PRId32 ",\"tid\":%" PRIu32, slice->pid, slice->track);
    print_time(chrome, "ts", time_ns);
}

static void print_args(struct chrome *chrome, const struct chrome_slice *slice) {
    if (slice->args)
        fprintf(chrome->file, ",\"args\":%s", slice->args);
    fputc('}', chrome->file);
}

void chrome_add_slice(struct chrome *chrome, const struct chrome_slice *slice) {
    print_event(chrome, "X", slice, slice->begin_ns);
    print_time(chrome, "dur",
               slice->end_ns > slice->begin_ns ? slice->end_ns - slice->begin_ns : 0);
    print_args(chrome, slice);
}

void chrome_begin_slice(struct chrome *chrome, const struct chrome_slice *slice) {
    print_event(chrome, "B", slice, slice->begin_ns);
    print_args(chrome, slice);
}

void chrome_end_slice(struct chrome *chrome, const struct chrome_slice *slice) {
    print_event(chrome, "E", slice, slice->end_ns);
    fputc('}', chrome->file);
}

void chrome_add_instant(struct chrome *chrome, const struct chrome_slice *instant) {
    print_event(chrome, "i", instant, instant->begin_ns);
    fputs(",\"s\":\"t\"", chrome->file);
    print_args(chrome, instant);
}

uint64_t chrome_new_flow(struct chrome *chrome) {
    return ++chrome->flows;
}

void chrome_add_flow(struct chrome *chrome, enum chrome_phase phase, uint64_t flow,
                     const struct chrome_slice *slice, int64_t time_ns) {
    const char text[] = {(char)phase, '\0'};
    print_event(chrome, text,
                &(struct chrome_slice){.name = "frame", .pid = slice->pid, .track = slice->track},
                time_ns);
    fprintf(chrome->file, ",\"id\":%" PRIu64 ",\"bp\":\"e\"}", flow);
}
