#include "verdict.h"

#include "picture_measures.h"
#include "sound_measures.h"

#include <math.h>
#include <string.h>

void verdict_parse(struct verdict *verdict, const struct option_list *texts) {
    for (uint32_t i = 0; i < texts->count; i++) {
        const char *text = texts->text[i];
        const char *wanted = expectation_parse(text, &verdict->expectation[verdict->count++]);
        if (wanted)
            program_fail_usage("--expect: \"%s\" should be %s", text, wanted);
    }
}

/* Names that totals can have beside those of the measures. */
static const char *const common_names[] = {
    "device_dropped_frames", "duration_s", "frames", "lost_frames", "skipped_frames", NULL,
};

static bool is_in(const char *const *names, const char *name) {
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static void append_names(char *text, size_t text_bytes, const char *const *names) {
    for (; *names; names++) {
        const size_t used = strlen(text);
        snprintf(text + used, text_bytes - used, "%s%s", used ? ", " : "", *names);
    }
}

static void check_expectation(const struct expectation *expectation,
                              const struct selection *selection) {
    const bool is_sound = is_in(sound_measures_names(), expectation->name);
    const bool is_picture = is_in(picture_measures_names(), expectation->name);
    const bool is_common = is_in(common_names, expectation->name);
    for (uint32_t i = 0; i < selection->count; i++) {
        const struct selected_stream *stream = &selection->stream[i];
        if (expectation->stream[0] != '\0' && strcmp(expectation->stream, stream->name) != 0)
            continue;
        if (is_common || (stream->kind == SHMFRAME_AUDIO ? is_sound : is_picture))
            return;
    }
    static char names[4096];
    if (is_sound || is_picture || is_common)
        program_fail_usage("--expect: \"%s\": no stream of that %s is measured here",
                           expectation->text, expectation->stream[0] ? "name and kind" : "kind");
    append_names(names, sizeof(names), common_names);
    append_names(names, sizeof(names), sound_measures_names());
    append_names(names, sizeof(names), picture_measures_names());
    program_fail_usage("--expect: \"%s\" is none of %s", expectation->name, names);
}

void verdict_check(const struct verdict *verdict, const struct selection *selection) {
    for (uint32_t i = 0; i < verdict->count; i++)
        check_expectation(&verdict->expectation[i], selection);
}

/* Whether the stream would have the value if anything had come of it. */
static bool is_missing(const struct expectation *expectation, const char *stream,
                       const json_t *total) {
    const bool is_sound = strcmp(json_string_value(json_object_get(total, "kind")), "audio") == 0;
    return json_integer_value(json_object_get(total, "frames")) == 0 &&
           (expectation->stream[0] == '\0' || strcmp(expectation->stream, stream) == 0) &&
           is_in(is_sound ? sound_measures_names() : picture_measures_names(), expectation->name);
}

json_t *verdict_judge(struct verdict *verdict, const char *stream, const json_t *total) {
    json_t *objects = json_array();
    for (uint32_t i = 0; i < verdict->count; i++) {
        const struct expectation *expectation = &verdict->expectation[i];
        double value = NAN;
        if (!expectation_find(expectation, stream, total, &value) &&
            !is_missing(expectation, stream, total))
            continue;
        const bool is_met = expectation_is_met(expectation, value);
        json_t *object = json_pack("{s:s, s:b}", "expect", expectation->text, "is_met", is_met);
        json_t *found = json_object_get(total, expectation->name);
        json_object_set_new(object, "value", found ? json_incref(found) : json_null());
        json_array_append_new(objects, object);
        verdict->was_judged[i] = true;
        if (is_met)
            continue;
        verdict->has_failed = true;
        if (isnan(value))
            program_warn("%s: expected %s, but it has no value", stream, expectation->text);
        else
            program_warn("%s: expected %s, but it is %g", stream, expectation->text, value);
    }
    return objects;
}

void verdict_end(struct verdict *verdict) {
    for (uint32_t i = 0; i < verdict->count; i++) {
        if (verdict->was_judged[i])
            continue;
        verdict->has_failed = true;
        program_warn("expected %s, but no stream has that value", verdict->expectation[i].text);
    }
}
