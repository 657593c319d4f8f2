#include "verdict.h"

#include "near.h"
#include "picture_measures.h"
#include "report.h"
#include "sound_measures.h"

#include <math.h>
#include <string.h>

/* Names that totals can have beside those of the measures. */
static const char *const common_names[] = {
    "device_dropped_frames", "duration_s", "frames", "lost_frames", "skipped_frames", NULL,
};

static bool is_in(const char *const *names, const char *name) {
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static void offer_names(struct near *near, const char *const *names) {
    for (; *names; names++)
        near_offer(near, *names);
}

static void fail_unknown(const char *name) {
    struct near near = {.wanted = name};
    offer_names(&near, common_names);
    offer_names(&near, sound_measures_names());
    offer_names(&near, picture_measures_names());
    program_fail_usage("--expect: \"%s\" is nothing that is measured%s; shmframe-analyze(1) lists "
                       "all names",
                       name, near_text(&near));
}

/* Values that only a second stream gives. */
static bool is_of_pairs(const char *name) {
    static const char *const begins[] = {"pairs", "psnr_", "ssim_", "unmatched"};
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static void check_name(const struct expectation *expectation, bool has_reference) {
    const char *name = expectation->name;
    if (!is_in(common_names, name) && !is_in(sound_measures_names(), name) &&
        !is_in(picture_measures_names(), name))
        fail_unknown(name);
    if (is_of_pairs(name) && !has_reference)
        program_fail_usage(
            "--expect: \"%s\" compares pictures with those of another stream: name it "
            "with --reference",
            expectation->text);
}

void verdict_parse(struct verdict *verdict, const struct option_list *texts, bool has_reference) {
    for (uint32_t i = 0; i < texts->count; i++) {
        const char *text = texts->text[i];
        struct expectation *expectation = &verdict->expectation[verdict->count++];
        const char *wanted = expectation_parse(text, expectation);
        if (wanted)
            program_fail_usage("--expect: \"%s\" should be %s", text, wanted);
        check_name(expectation, has_reference);
    }
}

static void check_expectation(const struct expectation *expectation,
                              const struct selection *selection) {
    const bool is_sound = is_in(sound_measures_names(), expectation->name);
    const bool is_picture = is_in(picture_measures_names(), expectation->name);
    for (uint32_t i = 0; i < selection->count; i++) {
        const struct selected_stream *stream = &selection->stream[i];
        if (expectation->stream[0] != '\0' && strcmp(expectation->stream, stream->name) != 0)
            continue;
        if (is_in(common_names, expectation->name) ||
            (stream->kind == SHMFRAME_AUDIO ? is_sound : is_picture))
            return;
    }
    program_fail_usage("--expect: \"%s\": no stream of that %s is measured here", expectation->text,
                       expectation->stream[0] ? "name and kind" : "kind");
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
        verdict->judgement[verdict->judgements++] =
            (struct judgement){stream, expectation, value, is_met};
    }
    return objects;
}

static void print_met(const struct judgement *judgement) {
    if (judgement->is_met)
        printf("%s: as expected, %s: it is %g\n", judgement->stream, judgement->expectation->text,
               judgement->value);
}

static void warn_unless_met(const struct judgement *judgement) {
    if (judgement->is_met)
        return;
    if (isnan(judgement->value))
        program_warn("%s: expected %s, but it has no value", judgement->stream,
                     judgement->expectation->text);
    else
        program_warn("%s: expected %s, but it is %g", judgement->stream,
                     judgement->expectation->text, judgement->value);
}

void verdict_end(struct verdict *verdict, bool is_telling) {
    for (uint32_t i = 0; i < verdict->judgements && is_telling; i++)
        print_met(&verdict->judgement[i]);
    if (is_telling)
        report_flush();
    for (uint32_t i = 0; i < verdict->judgements; i++) {
        warn_unless_met(&verdict->judgement[i]);
        verdict->has_failed = verdict->has_failed || !verdict->judgement[i].is_met;
    }
    for (uint32_t i = 0; i < verdict->count; i++) {
        if (verdict->was_judged[i])
            continue;
        verdict->has_failed = true;
        program_warn("expected %s, but no stream has that value", verdict->expectation[i].text);
    }
}
