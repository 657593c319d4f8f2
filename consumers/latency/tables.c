#include "tables.h"

#include "mark_table.h"
#include "program.h"

static void print_tables(const struct measured *measured) {
    hops_print(stdout, &measured->shown);
    if (measured->picture)
        mark_table_print_picture(stdout, measured->picture);
    if (measured->sound)
        mark_table_print_sound(stdout, measured->sound);
}

static json_t *make_json(const struct measured *measured, const char *span, int64_t from_ns,
                         int64_t to_ns) {
    json_t *object = json_object();
    json_object_set_new(object, "span", json_string(span));
    json_object_set_new(object, "stream", json_string(measured->stream));
    json_object_set_new(object, "start_ns", json_integer(from_ns));
    json_object_set_new(object, "duration_ns", json_integer(to_ns - from_ns));
    hops_add_json(object, &measured->shown);
    mark_table_add_picture(object, measured->picture);
    mark_table_add_sound(object, measured->sound);
    return object;
}

void tables_print_interval(struct measurement *m, int64_t now_ns) {
    for (uint32_t i = 0; i < m->streams; i++) {
        struct measured *measured = &m->stream[i];
        measured_take_interval(measured);
        if (m->format == REPORT_JSON) {
            report_print_json(make_json(measured, "interval", m->interval_start_ns, now_ns));
            continue;
        }
        printf("%s, second %.1f to %.1f\n", measured->stream,
               (double)(m->interval_start_ns - m->start_ns) / 1e9,
               (double)(now_ns - m->start_ns) / 1e9);
        print_tables(measured);
        putchar('\n');
        report_flush();
    }
    m->interval_start_ns = now_ns;
}

/* Judges the budgets that this stream has the hop for; says which are not met. */
static bool judge(struct measurement *m, const struct measured *measured, json_t *verdicts) {
    bool are_met = true;
    for (uint32_t i = 0; i < m->budgets; i++) {
        const struct shmframe_histogram *histogram = measured_hop(measured, m->budget[i].hop);
        if (!histogram)
            continue;
        m->is_judged[i] = true;
        const struct budget_verdict verdict = budget_judge(&m->budget[i], histogram);
        json_array_append_new(verdicts, budget_make_json(&m->budget[i], &verdict));
        if (verdict.is_met)
            continue;
        char line[BUDGET_LINE_BYTES];
        budget_describe(&m->budget[i], &verdict, line);
        if (m->streams > 1)
            program_warn("%s: %s", measured->stream, line);
        else
            program_warn("%s", line);
        are_met = false;
    }
    return are_met;
}

static bool print_stream(struct measurement *m, struct measured *measured, int64_t now_ns) {
    measured_take_total(measured);
    if (m->format == REPORT_TEXT) {
        printf("%s, all %.1f s\n", measured->stream, (double)(now_ns - m->start_ns) / 1e9);
        print_tables(measured);
        report_flush();
    }
    json_t *verdicts = json_array();
    const bool are_met = judge(m, measured, verdicts);
    if (m->format == REPORT_JSON) {
        json_t *object = make_json(measured, "total", m->start_ns, now_ns);
        json_object_set(object, "budgets", verdicts);
        json_object_set_new(object, "ended_by", json_string(m->reason));
        report_print_json(object);
    }
    json_decref(verdicts);
    return are_met;
}

int tables_print_total(struct measurement *m) {
    const int64_t now_ns = shmframe_now_ns();
    int exit_code = EXIT_DONE;
    for (uint32_t i = 0; i < m->streams; i++) {
        if (m->format == REPORT_TEXT && i > 0)
            putchar('\n');
        if (!print_stream(m, &m->stream[i], now_ns))
            exit_code = EXIT_FAILED;
    }
    for (uint32_t i = 0; i < m->budgets; i++) {
        if (m->is_judged[i])
            continue;
        program_warn("budget %s not met: no stream was measured that has this hop",
                     m->budget[i].text);
        exit_code = EXIT_FAILED;
    }
    return exit_code;
}
