/* Marks: pictures of any geometry that the library accepts, with any bytes in them. A finder reads
 * nothing outside of the slot, comes back, and what it tells holds together.
 *
 *   1 byte   what is looked at: cells alone, words of the code, or pictures
 *   ...      the rest, by that
 */
#include "format.h"
#include "input.h"
#include "mark_finder.h"
#include "reed_solomon.h"

#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <math.h>

enum { SLOT_BYTES_MAX = 1 << 20, PIXELS_MAX = 160 * 120, LOOKS = 3 };

static void check_mark(const struct mark *mark) {
    fuzz_must(mark->capture_ns >= 0 && mark->capture_ns < MARK_CAPTURE_END_NS,
              "a mark's capture time is out of its range");
    fuzz_must(mark->since_beat_us < 1 << 24, "a mark's beat is out of its range");
}

/* ---- cells and words ---- */

/* A mark with some cells overwritten: only what was painted, or what passes every check, is read.
 */
static void decode_cells(struct input *input) {
    const struct mark painted = {.stream = 7,
                                 .clock = 9,
                                 .number = (uint32_t)input_number(input),
                                 .capture_ns = (int64_t)input_number(input)};
    uint8_t right[MARK_CELLS];
    float cells[MARK_CELLS];
    mark_encode(&painted, right);
    for (unsigned i = 0; i < MARK_CELLS; i++)
        cells[i] = right[i] ? 1 : -1;
    while (input->left >= 3) {
        const unsigned place = (unsigned)(input_u8(input) | input_u8(input) << 8) % MARK_CELLS;
        const int8_t level = (int8_t)input_u8(input);
        static const float wild[] = {NAN, INFINITY, -INFINITY, 0, -0.0F, 3e38F, -3e38F, 1e-45F};
        cells[place] = level >= 120 ? wild[level - 120] : (float)level / 64;
    }
    struct mark mark;
    uint32_t corrected = 0;
    if (mark_decode(cells, &mark, &corrected)) {
        check_mark(&mark);
        fuzz_must(corrected <= MARK_CELLS, "more cells were put right than there are");
    }
    (void)mark_is_torn(cells, &painted);
}

/* What is put right is a word of the code: encoding its contents gives the same word. */
static void correct_word(struct input *input) {
    uint8_t word[REED_SOLOMON_WORD_MAX], given[REED_SOLOMON_WORD_MAX], again[REED_SOLOMON_WORD_MAX],
        places[REED_SOLOMON_BYTES];
    const size_t bytes =
        REED_SOLOMON_BYTES + 1 + input_below(input, REED_SOLOMON_WORD_MAX - REED_SOLOMON_BYTES);
    const size_t erased = input_below(input, REED_SOLOMON_BYTES + 1);
    const bool is_right_at_first = input_u8(input) & 1;
    for (size_t i = 0; i < erased; i++)
        places[i] = (uint8_t)(input_u8(input) % bytes);
    input_copy(input, word, bytes);
    if (is_right_at_first)
        reed_solomon_encode(word, bytes);
    while (is_right_at_first && input->left >= 2) {
        const size_t place = input_u8(input) % bytes;
        word[place] = input_u8(input);
    }
    memcpy(given, word, bytes);
    if (!reed_solomon_correct(word, bytes, places, erased)) {
        fuzz_must(memcmp(given, word, bytes) == 0, "a word that cannot be put right was changed");
        return;
    }
    memcpy(again, word, bytes);
    reed_solomon_encode(again, bytes);
    fuzz_must(memcmp(again, word, bytes) == 0, "what was put right is no word of the code");
}

/* ---- pictures ---- */

static const char *pick_pixel_format(struct input *input) {
    static const char *names[512];
    static unsigned count;
    if (count == 0)
        for (const AVPixFmtDescriptor *at = NULL; (at = av_pix_fmt_desc_next(at));)
            if (!(at->flags & AV_PIX_FMT_FLAG_HWACCEL) && count < 512)
                names[count++] = at->name;
    static const char *const usual[] = {"gray", "yuv420p", "rgb24", "bgra", "yuyv422", "p010le"};
    const uint8_t kind = input_u8(input);
    return kind < 128 ? usual[kind % 6]
                      : names[(unsigned)(kind - 128 + input_u8(input) * 128) % count];
}

/* With lines as long as they may be, or as short, planes in any order, bytes anywhere between. */
static bool make_format(struct input *input, struct shmframe_format *out_format) {
    const char *name = pick_pixel_format(input);
    const uint32_t width = 1 + input_u8(input) + (input_u8(input) & 3) * 256u;
    const uint32_t height = 1 + input_u8(input);
    const uint32_t padding = input_u8(input), start = input_u8(input);
    struct shmframe_format format;
    if (width * height > PIXELS_MAX || shmframe_format_video(&format, name, width, height) < 0)
        return false;
    uint64_t end = start;
    for (uint32_t i = 0; i < format.plane_count; i++) {
        struct shmframe_plane *plane = &format.plane[i];
        plane->offset = end;
        plane->line_bytes = plane->row_bytes + padding;
        end += (uint64_t)plane->line_bytes * plane->rows;
    }
    format.slot_bytes = end + SHMFRAME_TAIL_BYTES;
    if (format.slot_bytes > SLOT_BYTES_MAX || format_check(&format) < 0)
        return false;
    *out_format = format;
    return true;
}

/* A strip of which any part may be outside of the picture. */
static void draw_strip(struct input *input, const struct shmframe_format *format, uint8_t *slot) {
    const struct shmframe_plane *plane = &format->plane[0];
    const struct mark mark = {.stream = (uint16_t)input_below(input, 3),
                              .number = (uint32_t)input_number(input),
                              .capture_ns = (int64_t)(input_number(input) >> 4)};
    uint8_t cells[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS];
    if (mark.capture_ns >= MARK_CAPTURE_END_NS)
        return;
    mark_draw(&mark, cells);
    const uint32_t pixel_bytes = plane->row_bytes / format->video.width;
    const uint32_t cell = 1 + input_below(input, 4), high = 1 + input_below(input, 8);
    const int64_t left = (int8_t)input_u8(input), top = (int8_t)input_u8(input);
    const uint8_t white = input_u8(input), black = input_u8(input);
    for (int64_t y = 0; y < (int64_t)(MARK_STRIP_ROWS * high); y++)
        for (int64_t x = 0; x < (int64_t)(MARK_STRIP_COLUMNS * cell); x++) {
            const bool is_inside = pixel_bytes && top + y >= 0 && top + y < plane->rows &&
                                   left + x >= 0 && left + x < format->video.width;
            if (is_inside)
                memset(slot + plane->offset + (uint64_t)(top + y) * plane->line_bytes +
                           (uint64_t)(left + x) * pixel_bytes,
                       cells[y / high][x / cell] ? black : white, pixel_bytes);
        }
}

static void paint(struct input *input, const struct shmframe_format *format, uint8_t *slot) {
    const uint8_t kind = input_u8(input);
    if (kind & 1)
        memset(slot, kind & 2 ? 0xff : 0x80, format->slot_bytes);
    for (unsigned strips = kind >> 2 & 3; strips > 0; strips--)
        draw_strip(input, format, slot);
    for (unsigned runs = kind >> 4; runs > 0 && input->left > 3; runs--) {
        const uint64_t at = (input_u8(input) | (uint64_t)input_u8(input) << 8) * 4;
        const size_t bytes = input_u8(input);
        if (at + bytes <= format->slot_bytes)
            input_copy(input, slot + at, bytes);
    }
}

static void check_sight(const struct mark_sight *sight) {
    fuzz_must(sight->copies >= 1, "a mark was read, of which there is no copy");
    fuzz_must(isfinite(sight->cell_width) && isfinite(sight->cell_height), "a scale is no number");
    check_mark(&sight->mark);
    check_mark(&sight->oldest);
}

/* The slot is exactly as long as its format says: one byte beyond is not ours. */
static void look_at_pictures(struct input *input) {
    struct shmframe_format format;
    struct mark_finder *finder;
    if (!make_format(input, &format) || mark_finder_create(&format, &finder) < 0)
        return;
    if (input_u8(input) & 1)
        mark_finder_want(finder, (uint16_t)input_below(input, 3));
    uint8_t *slot = calloc(1, format.slot_bytes);
    for (int i = 0; slot && i < LOOKS; i++) {
        const struct shmframe_lease lease = {.data = slot, .format = &format};
        struct mark_sight sight;
        paint(input, &format, slot);
        if (mark_finder_look(finder, &lease, &sight))
            check_sight(&sight);
    }
    free(slot);
    mark_finder_destroy(finder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    struct input input = {bytes, count};
    av_log_set_level(AV_LOG_QUIET);
    switch (input_below(&input, 4)) {
    case 0:
        decode_cells(&input);
        break;
    case 1:
        correct_word(&input);
        break;
    default:
        look_at_pictures(&input);
    }
    return 0;
}
