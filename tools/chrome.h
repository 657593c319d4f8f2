/* Chrome: a trace in the JSON that Chrome, Perfetto and others show, written as it grows.
 *
 * Slices of one track may nest, but not overlap otherwise. What does overlap - frames that are made
 * or held at the same time - goes into lanes: as many tracks of one name as it takes. In the file
 * the events of each track follow each other in time, whatever the order in which they are known.
 */
#ifndef TOOLS_CHROME_H
#define TOOLS_CHROME_H

#include <stdint.h>
#include <stdio.h>

enum { CHROME_LANES_MAX = 64, CHROME_NAME_BYTES = 128 };

struct chrome {
    FILE *file;
    uint64_t events, flows;
    uint32_t tracks;
    int32_t *named; /* processes that have their name */
    size_t named_count;
};

struct chrome_lanes {
    int32_t pid;
    char name[CHROME_NAME_BYTES];
    unsigned count;
    struct {
        uint32_t track;
        int64_t end_ns;
    } lane[CHROME_LANES_MAX];
};

/* All write to `file`; ferror() tells what became of it. */
void chrome_begin(struct chrome *chrome, FILE *file);
/* `more`: a JSON object of further facts, in text. */
void chrome_end(struct chrome *chrome, const char *more);

/* Once for each process; later names are left out. */
void chrome_name_process(struct chrome *chrome, int32_t pid, const char *name);

void chrome_lanes_init(struct chrome_lanes *lanes, int32_t pid, const char *name);
/* A track that is free from *begin_ns on, and takes it until `end_ns`. If all are taken, *begin_ns
 * becomes the instant from which one is free. */
uint32_t chrome_take_lane(struct chrome *chrome, struct chrome_lanes *lanes, int64_t *begin_ns,
                          int64_t end_ns);

struct chrome_slice {
    int32_t pid;
    uint32_t track;
    const char *name; /* as "frame", with `sequence` behind it if that is not 0 */
    uint64_t sequence;
    int64_t begin_ns, end_ns;
    const char *args; /* a JSON object in text; NULL: none */
};
/* A slice that nothing is in. */
void chrome_add_slice(struct chrome *chrome, const struct chrome_slice *slice);
/* A slice that others are in, or next to: between the two come these, in time. Viewers that
 * calculate a slice's end, in floating point, may find that it overlaps the next one by a
 * nanosecond; an end that is written as the next begin is cannot. */
void chrome_begin_slice(struct chrome *chrome, const struct chrome_slice *slice);
void chrome_end_slice(struct chrome *chrome, const struct chrome_slice *slice);
/* An instant: begin_ns counts. */
void chrome_add_instant(struct chrome *chrome, const struct chrome_slice *instant);

enum chrome_phase { CHROME_FLOW_START = 's', CHROME_FLOW_STEP = 't', CHROME_FLOW_END = 'f' };
uint64_t chrome_new_flow(struct chrome *chrome);
/* Bound to the slice around it that was added last to that track. */
void chrome_add_flow(struct chrome *chrome, enum chrome_phase phase, uint64_t flow,
                     const struct chrome_slice *slice, int64_t time_ns);

/* `text` as a JSON string, quotes and all; cut to fit, anything that is not printable ASCII is "?".
 */
void chrome_quote(const char *text, char *quoted, size_t quoted_bytes);

#endif
