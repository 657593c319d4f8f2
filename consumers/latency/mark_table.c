#include "mark_table.h"

#include "duration.h"

#include <inttypes.h>

static const struct {
    const char *title;
    const char *json_name;
    double quantile;                /* 0: the minimum; 1: the maximum */
    bool is_in_marks, is_in_bursts; /* tables: as many columns as the table of hops above them */
} columns[] = {
    {"min", "min_ns", 0, false, true},        {"p1", "p1_ns", 0.01, false, false},
    {"p10", "p10_ns", 0.1, false, true},      {"p50", "p50_ns", 0.5, true, true},
    {"p90", "p90_ns", 0.9, true, true},       {"p99", "p99_ns", 0.99, true, false},
    {"p99.9", "p999_ns", 0.999, true, false}, {"max", "max_ns", 1, true, true},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static int64_t find_ns(const struct spread *spread, unsigned column) {
    const double quantile = columns[column].quantile;
    if (quantile == 0)
        return spread_min_ns(spread);
    return quantile < 1 ? spread_quantile_ns(spread, quantile) : spread_max_ns(spread);
}

/* What picture and sound have between them is on either side of 0: its ends are told. */
static bool is_in_table(unsigned column, bool is_of_bursts) {
    return is_of_bursts ? columns[column].is_in_bursts : columns[column].is_in_marks;
}

/* Lines up with the table of hops above it. */
static void print_title(FILE *file, bool is_of_bursts) {
    fprintf(file, "%-9s%9s", is_of_bursts ? "bursts" : "marks", "count");
    for (unsigned i = 0; i < COLUMNS; i++)
        if (is_in_table(i, is_of_bursts))
            fprintf(file, " %9s", columns[i].title);
    fputc('\n', file);
}

static void format_time(int64_t value_ns, char text[DURATION_BYTES + 1]) {
    if (value_ns < 0) {
        text[0] = '-';
        duration_format(-value_ns, text + 1);
    } else {
        duration_format(value_ns, text);
    }
}

static void print_row(FILE *file, unsigned hop, const struct spread *spread) {
    fprintf(file, "%-9s%9" PRIu64, marked_hop_name(hop), spread_count(spread));
    for (unsigned i = 0; i < COLUMNS; i++) {
        char text[DURATION_BYTES + 1] = "-";
        if (!is_in_table(i, hop == MARKED_HEARD || hop == MARKED_SKEW))
            continue;
        if (spread_count(spread))
            format_time(find_ns(spread, i), text);
        fprintf(file, " %9s", text);
    }
    fputc('\n', file);
}

static void print_source(FILE *file, const struct marked_picture *picture) {
    if (picture->source[0] != '\0')
        fprintf(file, "marks of %s", picture->source);
    else
        fprintf(file, "marks of an unknown stream (hash %04x)", picture->tally.source);
}

static void print_counts(FILE *file, const struct mark_counts *counts) {
    fprintf(file,
            ": frames %" PRIu64 ", lost %" PRIu64 ", repeated %" PRIu64 ", out of order %" PRIu64
            ", torn %" PRIu64,
            counts->frames, mark_counts_lost(counts), counts->repeated, counts->out_of_order,
            counts->torn);
    if (counts->restarts)
        fprintf(file, ", restarts %" PRIu64, counts->restarts);
    if (counts->before)
        fprintf(file, ", pictures before the first %" PRIu64, counts->before);
    if (counts->without)
        fprintf(file, ", pictures without one %" PRIu64, counts->without);
    fputc('\n', file);
}

/* Not shown, or not captured: what this stream cannot know. */
static void print_doubts(FILE *file, const struct mark_counts *counts) {
    const uint64_t unseen = mark_counts_unseen(counts), crowded = mark_counts_crowded(counts);
    if (crowded)
        fprintf(file,
                "  of the lost, at least %" PRIu64 " could not be seen: this stream has fewer "
                "pictures than the source\n",
                crowded);
    if (unseen)
        fprintf(file,
                "  of the lost, %" PRIu64 " may have been in pictures that did not get here, or "
                "whose mark could not be read\n",
                unseen);
}

/* Why frames have no age. */
static void print_clock(FILE *file, const struct marked_picture *picture) {
    if (!picture->shown.counts.undated)
        return;
    if (picture->tally.newest.clock == 0)
        fputs("  their times are media time, of no clock: ages cannot be told\n", file);
    else
        fputs("  their times are of another machine's clock, or of another boot's: ages cannot be "
              "told\n",
              file);
}

static void print_others(FILE *file, const struct mark_tally *tally) {
    for (uint32_t i = 0; i < tally->others; i++)
        fprintf(file, "  marks of another source (hash %04x) in %" PRIu64 " pictures so far\n",
                tally->other[i].stream, tally->other[i].pictures);
}

void mark_table_print_picture(FILE *file, const struct marked_picture *picture) {
    const struct mark_figures *figures = &picture->shown;
    const struct mark_counts *counts = &figures->counts;
    print_title(file, false);
    print_row(file, MARKED_AGE, &figures->mark_age);
    print_row(file, MARKED_SEEN, &figures->seen);
    print_row(file, MARKED_SHOWN_FOR, &figures->shown_for);
    if (picture->tally.has_begun) {
        print_source(file, picture);
        print_counts(file, counts);
        print_doubts(file, counts);
        print_clock(file, picture);
    } else if (counts->pictures > counts->others) {
        fprintf(file, "no mark in %" PRIu64 " pictures\n", counts->pictures - counts->others);
    }
    print_others(file, &picture->tally);
}

void mark_table_print_sound(FILE *file, const struct marked_sound *sound) {
    const struct skew_figures *figures = &sound->shown;
    print_title(file, true);
    print_row(file, MARKED_HEARD, &figures->heard);
    print_row(file, MARKED_SKEW, &figures->skew);
    fprintf(file, "bursts %" PRIu64, figures->bursts);
    if (!sound->picture) {
        fputs("; no picture beside this sound: no skew\n", file);
        return;
    }
    fprintf(file, ", beats of %s %" PRIu64 ", compared %" PRIu64 "\n", sound->picture,
            figures->beats, spread_count(&figures->skew));
    if (figures->unsteady)
        fprintf(file,
                "  of the beats, %" PRIu64 " cannot be compared: their times are media time, and "
                "the pictures did not come at its speed\n",
                figures->unsteady);
    if (spread_count(&figures->bound)) {
        char text[DURATION_BYTES + 1];
        format_time(spread_quantile_ns(&figures->bound, 0.5), text);
        fprintf(file,
                "  skew is picture - sound, below 0 when the picture is first; known to "
                "+-%s\n",
                text);
    }
}

static json_t *make_hop_json(const struct spread *spread) {
    json_t *object = json_object();
    json_object_set_new(object, "count", json_integer((json_int_t)spread_count(spread)));
    for (unsigned i = 0; i < COLUMNS; i++)
        json_object_set_new(object, columns[i].json_name, json_integer(find_ns(spread, i)));
    return object;
}

static void add_hop(json_t *object, unsigned hop, const struct spread *spread) {
    json_object_set_new(json_object_get(object, "hops"), marked_hop_name(hop),
                        make_hop_json(spread));
}

static void add_count(json_t *object, const char *name, uint64_t count) {
    json_object_set_new(object, name, json_integer((json_int_t)count));
}

static json_t *make_counts_json(const struct mark_counts *counts) {
    json_t *object = json_object();
    add_count(object, "pictures", counts->pictures);
    add_count(object, "passed", counts->passed);
    add_count(object, "before", counts->before);
    add_count(object, "without", counts->without);
    add_count(object, "others", counts->others);
    add_count(object, "frames", counts->frames);
    add_count(object, "lost", mark_counts_lost(counts));
    add_count(object, "lost_unseen", mark_counts_unseen(counts));
    add_count(object, "lost_crowded", mark_counts_crowded(counts));
    add_count(object, "repeated", counts->repeated);
    add_count(object, "out_of_order", counts->out_of_order);
    add_count(object, "torn", counts->torn);
    add_count(object, "restarts", counts->restarts);
    add_count(object, "undated", counts->undated);
    add_count(object, "corrected", counts->corrected);
    return object;
}

static json_t *make_clock_json(const struct mark_tally *tally) {
    if (!tally->has_begun)
        return json_null();
    if (tally->newest.clock == tally->own_clock)
        return json_string("own");
    return json_string(tally->newest.clock == 0 ? "media" : "other");
}

static json_t *make_others_json(const struct mark_tally *tally) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < tally->others; i++)
        json_array_append_new(list, json_pack("{s:i, s:I}", "source", (int)tally->other[i].stream,
                                              "pictures", (json_int_t)tally->other[i].pictures));
    return list;
}

void mark_table_add_picture(json_t *object, const struct marked_picture *picture) {
    if (!picture) {
        json_object_set_new(object, "marks", json_null());
        return;
    }
    const struct mark_tally *tally = &picture->tally;
    json_t *marks = make_counts_json(&picture->shown.counts);
    json_object_set_new(marks, "source",
                        tally->has_source ? json_integer(tally->source) : json_null());
    json_object_set_new(marks, "source_name", json_string(picture->source));
    json_object_set_new(marks, "clock", make_clock_json(tally));
    json_object_set_new(marks, "other_sources", make_others_json(tally));
    json_object_set_new(object, "marks", marks);
    add_hop(object, MARKED_AGE, &picture->shown.mark_age);
    add_hop(object, MARKED_SEEN, &picture->shown.seen);
    add_hop(object, MARKED_SHOWN_FOR, &picture->shown.shown_for);
}

void mark_table_add_sound(json_t *object, const struct marked_sound *sound) {
    if (!sound) {
        json_object_set_new(object, "bursts", json_null());
        return;
    }
    json_t *bursts = json_object();
    json_object_set_new(bursts, "picture",
                        sound->picture ? json_string(sound->picture) : json_null());
    add_count(bursts, "bursts", sound->shown.bursts);
    add_count(bursts, "beats", sound->shown.beats);
    add_count(bursts, "unsteady", sound->shown.unsteady);
    json_object_set_new(bursts, "bound", make_hop_json(&sound->shown.bound));
    json_object_set_new(object, "bursts", bursts);
    add_hop(object, MARKED_HEARD, &sound->shown.heard);
    add_hop(object, MARKED_SKEW, &sound->shown.skew);
}
