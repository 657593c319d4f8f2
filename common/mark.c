#include "mark.h"

#include "reed_solomon.h"

#include <fcntl.h>
#include <libavutil/crc.h>
#include <libavutil/intreadwrite.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Contents, all big endian. `base` is capture_ns - since_beat_us, which hardly changes while a beat
 * lasts: the fewer cells change, the less an encoder has to write. */
enum {
    AT_STREAM = 0,
    AT_CLOCK = 2,
    AT_NUMBER = 4,
    AT_BASE = 8,
    AT_SINCE = 16,
    AT_BEAT = 19,
    AT_CHECK = 20,
    DATA_BYTES = 24,
    BYTES = DATA_BYTES + REED_SOLOMON_BYTES,
    ROW_BYTES = MARK_COLUMNS / 8,
};
_Static_assert(BYTES * 8 == MARK_CELLS, "one cell a bit");

/* More wrong cells than this are not believed: a word of noise differs from what it would be made
 * into in half of the cells of each byte that was replaced. */
enum { CORRECTED_MAX = 40 };

/* Identities. */

/* FNV-1a, 32 bits, folded: draft-eastlake-fnv, sections 2 and 3. */
static uint32_t hash(uint32_t sum, const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ (uint8_t)bytes[i]) * UINT32_C(16777619);
    return sum;
}

enum { HASH_SHIFT = 16 };
static const uint32_t hash_begin = UINT32_C(2166136261);

static uint16_t fold(uint32_t sum) {
    return (uint16_t)(sum >> HASH_SHIFT ^ sum);
}

uint16_t mark_stream_id(const char *name) {
    return fold(hash(hash_begin, name, strlen(name)));
}

static uint32_t hash_file(uint32_t sum, const char *path) {
    char text[512];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t count = fd < 0 ? 0 : read(fd, text, sizeof(text));
    if (fd >= 0)
        close(fd);
    return count > 0 ? hash(sum, text, (size_t)count) : sum;
}

uint16_t mark_clock_id(void) {
    const uint32_t boot = hash_file(hash_begin, "/proc/sys/kernel/random/boot_id");
    const uint16_t id = fold(hash_file(boot, "/proc/self/timens_offsets"));
    return id ? id : 1;
}

/* Contents. */

static uint32_t find_check(const uint8_t data[DATA_BYTES]) {
    return av_crc(av_crc_get_table(AV_CRC_32_IEEE), UINT32_MAX, data, AT_CHECK);
}

static void write_data(const struct mark *mark, uint8_t out_data[DATA_BYTES]) {
    const uint32_t since_us = mark->since_beat_us & 0xffffff;
    AV_WB16(out_data + AT_STREAM, mark->stream);
    AV_WB16(out_data + AT_CLOCK, mark->clock);
    AV_WB32(out_data + AT_NUMBER, mark->number);
    AV_WB64(out_data + AT_BASE, (uint64_t)mark->capture_ns - since_us * UINT64_C(1000));
    AV_WB24(out_data + AT_SINCE, since_us);
    out_data[AT_BEAT] = mark->beat;
    AV_WB32(out_data + AT_CHECK, find_check(out_data));
}

static bool read_data(const uint8_t data[DATA_BYTES], struct mark *out_mark) {
    if (AV_RB32(data + AT_CHECK) != find_check(data))
        return false;
    const uint32_t since_us = AV_RB24(data + AT_SINCE);
    const uint64_t capture_ns = AV_RB64(data + AT_BASE) + since_us * UINT64_C(1000);
    if (capture_ns >= MARK_CAPTURE_END_NS)
        return false;
    *out_mark = (struct mark){
        .stream = AV_RB16(data + AT_STREAM),
        .clock = AV_RB16(data + AT_CLOCK),
        .number = AV_RB32(data + AT_NUMBER),
        .capture_ns = (int64_t)capture_ns,
        .beat = data[AT_BEAT],
        .since_beat_us = since_us,
    };
    return true;
}

static void write_word(const struct mark *mark, uint8_t out_word[BYTES]) {
    write_data(mark, out_word);
    reed_solomon_encode(out_word, BYTES);
}

/* Bytes of zeros, as many high ones are, become cells in pairs: neither large areas of one colour,
 * in which a finder has nothing to hold on to, nor single cells, which blur first. */
static uint8_t find_cover(int byte) {
    return byte / ROW_BYTES % 2 ? 0xcc : 0x33;
}

static void write_cells(const uint8_t word[BYTES], uint8_t out_cells[MARK_CELLS]) {
    for (int i = 0; i < MARK_CELLS; i++)
        out_cells[i] = (uint8_t)((word[i / 8] ^ find_cover(i / 8)) >> (7 - i % 8) & 1);
}

void mark_encode(const struct mark *mark, uint8_t out_cells[MARK_CELLS]) {
    uint8_t word[BYTES];
    write_word(mark, word);
    write_cells(word, out_cells);
}

/* Reading. */

struct seen_byte {
    uint8_t place;
    float sureness; /* of its least sure cell */
};

static int compare_sureness(const void *a, const void *b) {
    const float first = ((const struct seen_byte *)a)->sureness;
    const float second = ((const struct seen_byte *)b)->sureness;
    return (first > second) - (first < second);
}

/* Fills `out_word`, and all bytes from the least sure one on. */
static void read_cells(const float cells[MARK_CELLS], uint8_t out_word[BYTES],
                       struct seen_byte out_order[BYTES]) {
    for (int i = 0; i < BYTES; i++) {
        out_order[i] = (struct seen_byte){(uint8_t)i, INFINITY};
        uint8_t byte = 0;
        for (int bit = 0; bit < 8; bit++) {
            const float cell = cells[i * 8 + bit];
            byte = (uint8_t)(byte << 1 | (cell > 0));
            if (!(fabsf(cell) >= out_order[i].sureness)) /* not a number: not sure at all */
                out_order[i].sureness = isnan(cell) ? 0 : fabsf(cell);
        }
        out_word[i] = byte ^ find_cover(i);
    }
    qsort(out_order, BYTES, sizeof(out_order[0]), compare_sureness);
}

/* Takes the `erased` least sure bytes as unknown. */
static bool correct(const uint8_t seen[BYTES], const struct seen_byte order[BYTES], size_t erased,
                    struct mark *out_mark, uint32_t *out_corrected) {
    uint8_t word[BYTES], places[BYTES];
    memcpy(word, seen, BYTES);
    for (size_t i = 0; i < erased; i++)
        places[i] = order[i].place;
    if (!reed_solomon_correct(word, BYTES, places, erased))
        return false;
    uint32_t corrected = 0;
    for (int i = 0; i < BYTES; i++)
        corrected += (uint32_t)__builtin_popcount(word[i] ^ seen[i]);
    if (corrected > CORRECTED_MAX || !read_data(word, out_mark))
        return false;
    *out_corrected = corrected;
    return true;
}

bool mark_decode(const float cells[MARK_CELLS], struct mark *out_mark, uint32_t *out_corrected) {
    /* Each two that are erased cost one error that could be put right elsewhere. */
    static const size_t erased[] = {0, 4, 8, 12};
    uint8_t seen[BYTES];
    struct seen_byte order[BYTES];
    read_cells(cells, seen, order);
    for (size_t i = 0; i < sizeof(erased) / sizeof(erased[0]); i++)
        if (correct(seen, order, erased[i], out_mark, out_corrected))
            return true;
    return false;
}

/* Tears. */

/* One row of cells; false: they are not all sure. */
static bool read_row(const float *cells, int row, uint8_t out_bytes[ROW_BYTES]) {
    static const float sure = 0.5f;
    for (int i = 0; i < MARK_COLUMNS; i++) {
        const float cell = cells[row * MARK_COLUMNS + i];
        if (!(fabsf(cell) >= sure))
            return false;
        out_bytes[i / 8] = (uint8_t)(out_bytes[i / 8] << 1 | (cell > 0));
    }
    for (int i = 0; i < ROW_BYTES; i++)
        out_bytes[i] ^= find_cover(row * ROW_BYTES + i);
    return true;
}

/* Of frames that follow each other only the number differs in the first row, perhaps in one cell:
 * it has to be near, for what covers a cell by chance makes any. */
static bool is_first_torn(const float cells[MARK_CELLS], const struct mark *mark) {
    enum { NEAR = 255 };
    uint8_t seen[ROW_BYTES];
    if (!read_row(cells, 0, seen) || AV_RB16(seen + AT_STREAM) != mark->stream ||
        AV_RB16(seen + AT_CLOCK) != mark->clock)
        return false;
    const uint32_t steps = AV_RB32(seen + AT_NUMBER) - mark->number;
    return steps != 0 && steps + NEAR <= 2 * NEAR;
}

/* The last row is code, of which any two frames differ in about half of the cells. What covers it
 * is no row of cells, or all of one colour. */
static bool is_last_torn(const float cells[MARK_CELLS], const struct mark *mark) {
    enum { LAST = MARK_ROWS - 1, WRONG_MIN = 8, CHANGES_MIN = 16 };
    uint8_t seen[ROW_BYTES], word[BYTES];
    if (!read_row(cells, LAST, seen))
        return false;
    write_word(mark, word);
    int wrong = 0, changes = 0;
    for (int i = 0; i < ROW_BYTES; i++)
        wrong += __builtin_popcount(seen[i] ^ word[LAST * ROW_BYTES + i]);
    for (int i = 1; i < MARK_COLUMNS; i++) {
        const float *cell = &cells[LAST * MARK_COLUMNS + i];
        changes += (cell[0] > 0) != (cell[-1] > 0);
    }
    return wrong >= WRONG_MIN && changes >= CHANGES_MIN;
}

bool mark_is_torn(const float cells[MARK_CELLS], const struct mark *mark) {
    return is_first_torn(cells, mark) || is_last_torn(cells, mark);
}

/* The strip. */

void mark_draw(const struct mark *mark, uint8_t out_strip[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS]) {
    static const uint8_t black[] = {1, 2, 4}; /* columns from each side */
    uint8_t cells[MARK_CELLS];
    mark_encode(mark, cells);
    memset(out_strip, 0, MARK_STRIP_ROWS * MARK_STRIP_COLUMNS);
    for (int row = 0; row < MARK_ROWS; row++) {
        uint8_t *strip = out_strip[MARK_TOP + row];
        for (size_t i = 0; i < sizeof(black); i++)
            strip[black[i]] = strip[MARK_STRIP_COLUMNS - 1 - black[i]] = 1;
        memcpy(strip + MARK_LEFT, cells + (size_t)row * MARK_COLUMNS, MARK_COLUMNS);
    }
}
