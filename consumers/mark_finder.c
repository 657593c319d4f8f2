#include "mark_finder.h"

#include "mark_search.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* While fewer copies are read than a picture has, or none of the stream that is wanted, the whole
 * of it is searched each so many looks. */
enum { COPIES = 3, LOOKS = 30 };

struct mark_finder {
    struct shmframe_format format;
    struct luma luma;
    struct mark_strip_reader *reader;
    struct mark_search *search;
    uint32_t known; /* strips of the picture that is told, where they were seen last */
    struct place {
        struct mark_strip strip;
        bool is_seen; /* in this picture */
        float cells[MARK_CELLS];
    } place[COPIES];
    uint32_t looks; /* since the last search */
    bool has_seen;
    uint16_t stream, clock; /* of what was seen */
    bool is_wanting;
    uint16_t wanted; /* stream */
};

int mark_finder_create(const struct shmframe_format *format, struct mark_finder **out_finder) {
    struct mark_finder *finder = calloc(1, sizeof(*finder));
    if (!finder)
        return -ENOMEM;
    finder->format = *format;
    int result = luma_init(&finder->luma, format);
    if (result == 0)
        result = mark_strip_reader_create(&finder->luma, &finder->reader);
    if (result == 0)
        result = mark_search_create(&finder->luma, finder->reader, &finder->search);
    if (result < 0) {
        mark_finder_destroy(finder);
        return result;
    }
    *out_finder = finder;
    return 0;
}

void mark_finder_destroy(struct mark_finder *finder) {
    if (!finder)
        return;
    mark_search_destroy(finder->search);
    mark_strip_reader_destroy(finder->reader);
    free(finder);
}

void mark_finder_want(struct mark_finder *finder, uint16_t stream) {
    finder->is_wanting = true;
    finder->wanted = stream;
}

static void see_places(struct mark_finder *finder, const uint8_t *data) {
    for (uint32_t i = 0; i < finder->known; i++) {
        struct place *place = &finder->place[i];
        place->is_seen = mark_strip_see(finder->reader, data, &place->strip, place->cells);
    }
}

/* Reads what is still where it was. Where no copy can be read by itself, they are read together:
 * the same cells, spoilt in different ways. */
static uint32_t follow(const struct mark_finder *finder, struct mark_reading out_readings[COPIES]) {
    float sum[MARK_CELLS] = {0};
    uint32_t found = 0, seen = 0;
    for (uint32_t i = 0; i < finder->known; i++) {
        const struct place *place = &finder->place[i];
        struct mark_reading *reading = &out_readings[found];
        if (!place->is_seen)
            continue;
        seen++;
        for (int k = 0; k < MARK_CELLS; k++)
            sum[k] += place->cells[k];
        reading->strip = place->strip;
        found += mark_strip_decode(place->cells, &reading->mark, &reading->corrected);
    }
    if (found || seen < 2)
        return found;
    out_readings[0].strip = finder->place[0].strip;
    return mark_strip_decode(sum, &out_readings[0].mark, &out_readings[0].corrected);
}

static bool is_newer(const struct mark *a, const struct mark *b) {
    return a->capture_ns != b->capture_ns ? a->capture_ns > b->capture_ns
                                          : (int32_t)(a->number - b->number) > 0;
}

static void add_reading(const struct mark_reading *reading, struct mark_sight *sight) {
    const struct mark *mark = &reading->mark;
    if (sight->copies++ == 0) {
        sight->mark = sight->oldest = *mark;
        sight->cell_width = reading->strip.cell_width;
        sight->cell_height = reading->strip.cell_height;
        sight->left = (int32_t)lrintf(reading->strip.left);
        sight->top = (int32_t)lrintf(reading->strip.top);
    }
    if (is_newer(mark, &sight->mark))
        sight->mark = *mark;
    if (is_newer(&sight->oldest, mark))
        sight->oldest = *mark;
    sight->corrected += reading->corrected;
}

static const struct mark *find_wanted(const struct mark_finder *finder,
                                      const struct mark_reading *readings, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (readings[i].mark.stream == finder->wanted)
            return &readings[i].mark;
    return NULL;
}

/* Whether there may be more to find than what is read. */
static bool is_lacking(const struct mark_finder *finder, const struct mark_reading *readings,
                       uint32_t count) {
    return count < COPIES || (finder->is_wanting && !find_wanted(finder, readings, count));
}

/* The stream whose marks are told. */
static const struct mark *choose_stream(const struct mark_finder *finder,
                                        const struct mark_reading *readings, uint32_t count) {
    const struct mark *wanted = finder->is_wanting ? find_wanted(finder, readings, count) : NULL;
    if (wanted)
        return wanted;
    for (uint32_t i = 0; finder->has_seen && i < count; i++)
        if (readings[i].mark.stream == finder->stream && readings[i].mark.clock == finder->clock)
            return &readings[i].mark;
    return &readings[0].mark;
}

/* Copies that one picture shows, from above. */
struct copies {
    uint32_t count;
    const struct mark_reading *reading[COPIES];
};

/* How many cells lower than `a` the strip of `b` stands, if both may be of one picture: as large as
 * each other, of one source, one above the other. Else 0. */
static float find_drop(const struct mark_reading *a, const struct mark_reading *b) {
    static const float drop_min = 22; /* 26.5, and what formats with large blocks round off */
    const float width = a->strip.cell_width, height = a->strip.cell_height;
    const float left = b->strip.left - a->strip.left;
    const float right = left + MARK_STRIP_COLUMNS * (b->strip.cell_width - width);
    const float drop = (b->strip.top - a->strip.top) / height;
    const bool is_like = a->mark.stream == b->mark.stream && a->mark.clock == b->mark.clock &&
                         fabsf(left) < width && fabsf(right) < width &&
                         fabsf(b->strip.cell_height - height) < 0.2f * height;
    return is_like && drop >= drop_min ? drop : 0;
}

/* The copies of one picture of which `first` is the topmost and `second` the next one; the third is
 * as far below. */
static struct copies gather(const struct mark_reading *readings, uint32_t count,
                            const struct mark_reading *first, const struct mark_reading *second) {
    static const float tolerance = 2; /* cells, rounded off likewise */
    struct copies copies = {1, {first}};
    const float drop = find_drop(first, second);
    if (drop == 0)
        return copies;
    copies.reading[copies.count++] = second;
    for (uint32_t i = 0; i < count && copies.count < COPIES; i++)
        if (find_drop(second, &readings[i]) > 0 &&
            fabsf(find_drop(first, &readings[i]) - 2 * drop) < tolerance)
            copies.reading[copies.count++] = &readings[i];
    return copies;
}

/* How many of them stand where what was told last stood. */
static uint32_t count_told(const struct mark_finder *finder, const struct copies *copies) {
    uint32_t told = 0;
    for (uint32_t i = 0; i < copies->count; i++)
        for (uint32_t k = 0; k < finder->known; k++) {
            const struct mark_strip *a = &copies->reading[i]->strip, *b = &finder->place[k].strip;
            told += fabsf(a->left - b->left) < b->cell_width &&
                    fabsf(a->top - b->top) < b->cell_height &&
                    fabsf(a->cell_width - b->cell_width) * MARK_STRIP_COLUMNS < b->cell_width;
        }
    return told;
}

/* One source may be shown several times, and at different times: only copies of one picture tell
 * whether it is torn. */
static struct copies choose_copies(const struct mark_finder *finder,
                                   const struct mark_reading *readings, uint32_t count) {
    const struct mark *chosen = choose_stream(finder, readings, count);
    struct copies best = {0};
    uint32_t best_worth = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (readings[i].mark.stream != chosen->stream || readings[i].mark.clock != chosen->clock)
            continue;
        for (uint32_t k = 0; k < count; k++) {
            const struct copies copies = gather(readings, count, &readings[i], &readings[k]);
            const uint32_t worth = copies.count + (count_told(finder, &copies) > 0 ? COPIES : 0);
            if (worth <= best_worth)
                continue;
            best = copies;
            best_worth = worth;
        }
    }
    return best;
}

/* Where others stand still, one that cannot be read is torn or covered, and stays known. */
static void keep_places(struct mark_finder *finder, const struct copies *copies) {
    if (copies->count < finder->known && count_told(finder, copies) == copies->count)
        return;
    for (uint32_t i = 0; i < copies->count; i++)
        finder->place[i].strip = copies->reading[i]->strip;
    finder->known = copies->count;
}

/* Whether one of the strips is of two frames by itself. */
static bool is_strip_torn(const struct mark_finder *finder, const struct mark *mark) {
    for (uint32_t i = 0; i < finder->known; i++)
        if (finder->place[i].is_seen && mark_is_torn(finder->place[i].cells, mark))
            return true;
    return false;
}

bool mark_finder_look(struct mark_finder *finder, const struct shmframe_lease *lease,
                      struct mark_sight *out_sight) {
    struct mark_reading followed[COPIES], found[MARK_READINGS_MAX];
    *out_sight = (struct mark_sight){0};
    if (!shmframe_format_is_equal(lease->format, &finder->format))
        return false;
    struct copies copies = {0};
    see_places(finder, lease->data);
    uint32_t count = follow(finder, followed);
    if (count > 0)
        copies = choose_copies(finder, followed, count);
    if (count == 0 || (is_lacking(finder, followed, count) && ++finder->looks >= LOOKS)) {
        finder->looks = 0;
        count = mark_search_run(finder->search, lease->data, found);
        if (count > 0) {
            copies = choose_copies(finder, found, count);
            keep_places(finder, &copies);
            see_places(finder, lease->data);
        }
    }
    if (copies.count == 0)
        return false;
    finder->has_seen = true;
    finder->stream = copies.reading[0]->mark.stream;
    finder->clock = copies.reading[0]->mark.clock;
    for (uint32_t i = 0; i < copies.count; i++)
        add_reading(copies.reading[i], out_sight);
    out_sight->is_torn =
        is_newer(&out_sight->mark, &out_sight->oldest) || is_strip_torn(finder, &out_sight->mark);
    return true;
}
