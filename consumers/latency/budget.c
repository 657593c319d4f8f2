#include "budget.h"

#include "duration.h"
#include "option.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 32 };

static bool parse_hop(const char *text, size_t length, unsigned *out_hop) {
    for (unsigned hop = 0; hop < MARKED_END; hop++) {
        const char *name = marked_hop_name(hop);
        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            *out_hop = hop;
            return true;
        }
    }
    return false;
}

static bool parse_limit(const char *text, size_t length, int64_t *out_ns) {
    char limit[LIMIT_BYTES];
    if (length >= sizeof(limit))
        return false;
    memcpy(limit, text, length);
    limit[length] = '\0';
    const struct option_spec spec = {.kind = OPTION_DURATION, .out = out_ns};
    return option_store(&spec, limit) == NULL;
}

static bool parse_quantile(const char *text, double *out_quantile) {
    if (strcmp(text, "max") == 0) {
        *out_quantile = 1;
        return true;
    }
    if (text[0] != 'p' || !isdigit((unsigned char)text[1]))
        return false;
    char *end;
    const double percent = strtod(text + 1, &end);
    if (*end || !(percent > 0 && percent <= 100))
        return false;
    *out_quantile = percent / 100;
    return true;
}

const char *budget_parse(const char *text, struct budget *out_budget) {
    const char *equals = strchr(text, '=');
    const char *at = equals ? strchr(equals, '@') : NULL;
    if (!at)
        return "HOP=TIME@QUANTILE, such as age=5ms@p99";

    struct budget budget = {.text = text};
    if (!parse_hop(text, (size_t)(equals - text), &budget.hop))
        return "of a hop: produce, wake, transit, hold, age or display, or of marks: mark_age, "
               "seen, "
               "shown_for, heard or skew";
    if (!parse_limit(equals + 1, (size_t)(at - equals - 1), &budget.limit_ns))
        return "with a time such as 1.5s, 200ms or 50us before the @";
    if (!parse_quantile(at + 1, &budget.quantile))
        return "with p50, p99, p99.9 ... or max behind the @";
    *out_budget = budget;
    return NULL;
}

struct budget_verdict budget_judge(const struct budget *budget,
                                   const struct shmframe_histogram *histogram) {
    if (histogram->count == 0)
        return (struct budget_verdict){0};
    const int64_t measured_ns = budget->quantile < 1
                                    ? shmframe_histogram_quantile_ns(histogram, budget->quantile)
                                    : histogram->max_ns;
    return (struct budget_verdict){
        .is_met = measured_ns <= budget->limit_ns,
        .is_measured = true,
        .measured_ns = measured_ns,
    };
}

void budget_describe(const struct budget *budget, const struct budget_verdict *verdict,
                     char line[BUDGET_LINE_BYTES]) {
    if (!verdict->is_measured) {
        snprintf(line, BUDGET_LINE_BYTES, "budget %s not met: no frame was measured on this hop",
                 budget->text);
        return;
    }
    char measured[DURATION_BYTES], limit[DURATION_BYTES];
    duration_format(verdict->measured_ns, measured);
    duration_format(budget->limit_ns, limit);
    /* What may be below 0 is judged by its size, of which there may be another quantile. */
    const char *size =
        budget->hop == MARKED_SKEW || budget->hop == MARKED_HEARD ? "the size of " : "";
    snprintf(line, BUDGET_LINE_BYTES, "budget %s %s: %s%s is %s, the limit %s", budget->text,
             verdict->is_met ? "met" : "exceeded", size, marked_hop_name(budget->hop), measured,
             limit);
}

json_t *budget_make_json(const struct budget *budget, const struct budget_verdict *verdict) {
    json_t *object = json_object();
    json_object_set_new(object, "hop", json_string(marked_hop_name(budget->hop)));
    json_object_set_new(object, "quantile", json_real(budget->quantile));
    json_object_set_new(object, "limit_ns", json_integer(budget->limit_ns));
    json_object_set_new(object, "measured_ns",
                        verdict->is_measured ? json_integer(verdict->measured_ns) : json_null());
    json_object_set_new(object, "is_met", json_boolean(verdict->is_met));
    return object;
}
