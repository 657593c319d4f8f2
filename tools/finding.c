#include "finding.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

struct finding *findings_add(struct findings *findings, const char *topic, const char *name,
                             const char *found, ...) {
    assert(findings->count < FINDINGS_MAX);
    struct finding *finding = &findings->list[findings->count++];
    *finding = (struct finding){.topic = topic, .name = name, .figures = json_object()};
    va_list values;
    va_start(values, found);
    vsnprintf(finding->found, sizeof(finding->found), found, values);
    va_end(values);
    return finding;
}

void finding_set_trouble(struct finding *finding, enum finding_level level, const char *cost,
                         const char *remedy) {
    finding->level = level;
    snprintf(finding->cost, sizeof(finding->cost), "%s", cost);
    snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
}

void finding_set_figure(struct finding *finding, const char *name, json_int_t value) {
    json_object_set_new(finding->figures, name, json_integer(value));
}

void findings_finish(struct findings *findings) {
    for (unsigned i = 0; i < findings->count; i++)
        json_decref(findings->list[i].figures);
    findings->count = 0;
}

const char *finding_level_name(enum finding_level level) {
    static const char *const names[] = {"ok", "note", "warning", "failure"};
    return names[level];
}

enum finding_level findings_worst(const struct findings *findings) {
    enum finding_level worst = FINDING_OK;
    for (unsigned i = 0; i < findings->count; i++)
        if (findings->list[i].level > worst)
            worst = findings->list[i].level;
    return worst;
}

const struct finding *findings_find(const struct findings *findings, const char *name) {
    for (unsigned i = 0; i < findings->count; i++)
        if (strcmp(findings->list[i].name, name) == 0)
            return &findings->list[i];
    return NULL;
}

json_t *findings_to_json(const struct findings *findings) {
    json_t *list = json_array();
    for (unsigned i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "topic",
                                              finding->topic, "name", finding->name, "level",
                                              finding_level_name(finding->level), "found",
                                              finding->found, "cost", finding->cost, "remedy",
                                              finding->remedy, "figures", finding->figures));
    }
    return json_pack("{s:s, s:o}", "level", finding_level_name(findings_worst(findings)),
                     "findings", list);
}

/* From column `indent` on, broken at spaces. The cursor is there already. */
static void print_wrapped(const char *text, int indent, int columns, FILE *file) {
    int column = indent;
    while (*text) {
        const int word = (int)strcspn(text, " ");
        if (column > indent && column + 1 + word > columns) {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', file);
            column++;
        }
        fprintf(file, "%.*s", word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', file);
}

void findings_print(const struct findings *findings, FILE *file, int columns) {
    enum { INDENT = 28 };
    for (unsigned i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        if (i == 0 || strcmp(finding->topic, finding[-1].topic) != 0)
            fprintf(file, "%s%s\n", i ? "\n" : "", finding->topic);
        fprintf(file, "  %-7s  %-16s ", finding_level_name(finding->level), finding->name);
        print_wrapped(finding->found, INDENT, columns, file);
        if (finding->cost[0]) {
            fprintf(file, "%*scost:   ", INDENT, "");
            print_wrapped(finding->cost, INDENT + 8, columns, file);
        }
        if (finding->remedy[0]) {
            fprintf(file, "%*sremedy: ", INDENT, "");
            print_wrapped(finding->remedy, INDENT + 8, columns, file);
        }
    }
}
