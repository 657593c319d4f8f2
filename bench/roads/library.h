/* Library: what roads share that need one of others. Its two sides are a module, which each side
 * loads for itself: so whoever does not use a library neither has it in its memory nor needs it to
 * be installed.
 */
#ifndef BENCH_ROADS_LIBRARY_H
#define BENCH_ROADS_LIBRARY_H

#include "road.h"

/* What prepare() of such a road returns begins with it. */
struct library {
    const char *module; /* "zeromq": roads/bench-road-zeromq.so beside the program, which has
                         * `const struct road library_sides` with the members of both sides */
    const struct road_plan *plan;
    /* Of files, which nobody needs any more once both sides are there: gone before anything can end
     * the program. finish() does it again. NULL: there are none. */
    void (*remove_names)(void *prepared);
};
extern const struct road library_sides;

/* For why_not(): NULL, or what to say where the module was not built for lack of `package`. */
const char *library_why_not(const char *module, const char *package);

/* For the table. */
void *library_writer_open(void *prepared, struct road_count *count);
void library_lend(void *side, uint32_t count, uint8_t **out_data);
void library_send(void *side, const struct parcel *parcels, uint32_t count);
void library_writer_close(void *side);
void *library_reader_open(void *prepared, uint32_t number, struct road_count *count);
uint32_t library_receive(void *side, uint32_t count, struct message *out_messages);
void library_release(void *side, const struct message *messages, uint32_t count);
void library_reader_close(void *side);

/* The members of struct road that all of them have alike. */
#define LIBRARY_MEMBERS                                                                            \
    .writer_open = library_writer_open, .lend = library_lend, .send = library_send,                \
    .writer_close = library_writer_close, .reader_open = library_reader_open,                      \
    .receive = library_receive, .release = library_release, .reader_close = library_reader_close

#endif
