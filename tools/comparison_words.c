#include "comparison_words.h"

#include "hops.h"
#include "table.h"

#include <math.h>
#include <stdio.h>

const char *const comparison_rate_name = "rate";

static const char *get_name(const struct comparison_question *question) {
    switch (question->kind) {
    case COMPARISON_HOP:
        return run_hop_name(question->hop);
    case COMPARISON_EVENT:
        return run_event_name(question->event);
    case COMPARISON_RATE:
        break;
    }
    return comparison_rate_name;
}

/* ---- the table ---- */

static void add_name(struct table *table, const struct comparison_question *question) {
    if (question->kind == COMPARISON_HOP)
        table_add(table, "%s p%g", get_name(question), question->quantile * 100);
    else
        table_add(table, "%s", get_name(question));
}

static void add_figure(struct table *table, enum comparison_kind kind, double value) {
    char text[HOPS_TIME_BYTES];
    if (!isfinite(value)) {
        table_add(table, "-");
        return;
    }
    switch (kind) {
    case COMPARISON_HOP:
        hops_format_time((int64_t)llround(value), text);
        table_add(table, "%s", text);
        break;
    case COMPARISON_EVENT:
        table_add(table, "%.3g %%", value * 100);
        break;
    case COMPARISON_RATE:
        table_add(table, "%.4g /s", value);
        break;
    }
}

static void add_change(struct table *table, enum comparison_kind kind, double change) {
    /* Of a share the difference, in points. */
    if (isfinite(change))
        table_add(table, "%+.*f %%", kind == COMPARISON_EVENT ? 3 : 1, change * 100);
    else
        table_add(table, "-");
}

void comparison_print(const char *stream, const char *why, const struct comparison_answer *answers,
                      size_t count) {
    static const char *const titles[] = {"",           ">BEFORE", ">AFTER",  ">CHANGE",
                                         ">95 % FROM", ">TO",     "VERDICT", NULL};
    struct table table;
    if (*why) {
        printf("%s\n%s: %s\n", stream, comparison_verdict_name(COMPARISON_UNKNOWN), why);
        return;
    }
    printf("%s\n", stream);
    table_init(&table, titles);
    for (size_t i = 0; i < count; i++) {
        const struct comparison_answer *answer = &answers[i];
        const enum comparison_kind kind = answer->question.kind;
        add_name(&table, &answer->question);
        add_figure(&table, kind, answer->before);
        add_figure(&table, kind, answer->after);
        add_change(&table, kind, answer->change);
        add_change(&table, kind, answer->low);
        add_change(&table, kind, answer->high);
        table_add(&table, "%s%s%s", comparison_verdict_name(answer->verdict),
                  *answer->why ? ": " : "", answer->why);
    }
    table_print(&table, stdout);
    table_finish(&table);
}

static void format_outage(int64_t outage_ns, char text[HOPS_TIME_BYTES]) {
    if (outage_ns < 0)
        snprintf(text, HOPS_TIME_BYTES, "not told");
    else
        hops_format_time(outage_ns, text);
}

void comparison_print_outage(int64_t before_ns, int64_t after_ns) {
    char before[HOPS_TIME_BYTES], after[HOPS_TIME_BYTES];
    format_outage(before_ns, before);
    format_outage(after_ns, after);
    printf("longest time without a frame: BEFORE %s, AFTER %s\n", before, after);
}

/* ---- JSON ---- */

static json_t *make_time(int64_t time_ns) {
    return time_ns < 0 ? json_null() : json_integer(time_ns);
}

json_t *comparison_make_outage(int64_t before_ns, int64_t after_ns) {
    return json_pack("{s:o, s:o}", "before_ns", make_time(before_ns), "after_ns",
                     make_time(after_ns));
}

static json_t *make_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *make_answer(const struct comparison_answer *answer) {
    const struct comparison_question *question = &answer->question;
    const bool is_hop = question->kind == COMPARISON_HOP;
    json_t *json = json_object();
    json_object_set_new(json, "what", json_string(get_name(question)));
    json_object_set_new(json, "quantile", is_hop ? json_real(question->quantile) : json_null());
    json_object_set_new(json, "before", make_number(answer->before));
    json_object_set_new(json, "after", make_number(answer->after));
    json_object_set_new(json, "change", make_number(answer->change));
    json_object_set_new(json, "low", make_number(answer->low));
    json_object_set_new(json, "high", make_number(answer->high));
    json_object_set_new(json, "chance", make_number(answer->chance));
    json_object_set_new(json, "frames_before", json_integer((json_int_t)answer->frames_before));
    json_object_set_new(json, "frames_after", json_integer((json_int_t)answer->frames_after));
    json_object_set_new(json, "units_before", json_integer(answer->units_before));
    json_object_set_new(json, "units_after", json_integer(answer->units_after));
    json_object_set_new(json, "unit_s",
                        answer->unit_s > 0 ? json_real(answer->unit_s) : json_null());
    json_object_set_new(json, "verdict", json_string(comparison_verdict_name(answer->verdict)));
    json_object_set_new(json, "why", json_string(answer->why));
    return json;
}

json_t *comparison_make_json(const struct comparison_answer *answers, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, make_answer(&answers[i]));
    return list;
}
