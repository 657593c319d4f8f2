/* shmframe report: compares reports of shmframe-latency, and says better, worse or no difference.
 */
#include "report.h"
#include "comparison_words.h"
#include "tool.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUANTILES_MAX = 16, ANSWERS_MAX = RUN_HOPS * QUANTILES_MAX + RUN_EVENTS + 1 };

static struct {
    const char *format, *stream;
    struct option_list before, after, hops, quantiles;
    double threshold_percent, level_percent;
    bool is_strict;
} settings = {.format = "text", .threshold_percent = 5, .level_percent = 5};

static const struct option_spec options[] = {
    {.name = "hop",
     .kind = OPTION_LIST,
     .out = &settings.hops,
     .argument = "HOP",
     .help =
         "compare this one, such as age, lost or rate; may be given several times (otherwise all "
         "but shown_for)"},
    {.name = "quantile",
     .kind = OPTION_LIST,
     .out = &settings.quantiles,
     .argument = "QUANTILE",
     .help = "compare this one, such as p90; may be given several times (otherwise p50 and p99)"},
    {.name = "threshold",
     .kind = OPTION_NUMBER,
     .out = &settings.threshold_percent,
     .argument = "PERCENT",
     .help = "the least change that matters (5)"},
    {.name = "level",
     .kind = OPTION_NUMBER,
     .out = &settings.level_percent,
     .argument = "PERCENT",
     .help = "how often chance alone may be called a difference (5)"},
    {.name = "stream",
     .kind = OPTION_TEXT,
     .out = &settings.stream,
     .argument = "STREAM",
     .help = "compare this one (otherwise all that are in every report)"},
    {.name = "before",
     .kind = OPTION_LIST,
     .out = &settings.before,
     .argument = "FILE",
     .help = "one more run like BEFORE; may be given several times"},
    {.name = "after",
     .kind = OPTION_LIST,
     .out = &settings.after,
     .argument = "FILE",
     .help = "one more run like AFTER; may be given several times"},
    {.name = "strict",
     .kind = OPTION_FLAG,
     .out = &settings.is_strict,
     .help = "exit with 1 also where it cannot be told"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text or json"},
    {0},
};

static const struct program program = {
    .name = "shmframe report",
    .purpose = "Compares reports of shmframe-latency: better, worse or no difference.",
    .exit_failed = 3, /* 1 says that something is worse */
    .operands = "BEFORE AFTER",
    .notes = "Each is a folder that shmframe-latency --report left, or the run.json in it.\n"
             "Exits with 1 if anything is worse, with 3 if they cannot be compared.\n"
             "\n"
             "Example: shmframe report old new --hop age --threshold 10",
    .options = options,
};

/* ---- what was given ---- */

struct side {
    const char *name;
    struct comparison_file file[COMPARISON_RUNS_MAX];
    dev_t device[COMPARISON_RUNS_MAX];
    ino_t inode[COMPARISON_RUNS_MAX];
    uint32_t files;
};

static struct comparison_question questions[ANSWERS_MAX];
static size_t question_count;

/* A measurement counts once, or chance would seem smaller than it is. */
static void check_new(const struct side *side, const struct stat *there, const char *path) {
    for (uint32_t i = 0; i < side->files; i++)
        if (side->device[i] == there->st_dev && side->inode[i] == there->st_ino)
            program_fail_usage("%s and %s are the same run: it counts once", side->file[i].path,
                               path);
}

static void read_file(struct side *side, const char *path) {
    char within[PATH_MAX], reason[COMPARISON_REASON_BYTES];
    struct stat there;
    const char *read = path;
    if (stat(path, &there) == 0 && S_ISDIR(there.st_mode) &&
        snprintf(within, sizeof(within), "%s/run.json", path) < PATH_MAX)
        read = within;
    if (side->files == COMPARISON_RUNS_MAX)
        program_fail_usage("there are more than %d runs %s", COMPARISON_RUNS_MAX, side->name);
    if (read == within && access(within, F_OK) < 0)
        program_fail("%s cannot be compared: there is no run.json in it, as shmframe-latency "
                     "--report leaves it",
                     path);
    if (!comparison_file_read(read, &side->file[side->files], reason))
        program_fail("%s cannot be compared: %s", path, reason);
    if (stat(read, &there) == 0) {
        if (S_ISREG(there.st_mode))
            check_new(side, &there, path);
        side->device[side->files] = there.st_dev;
        side->inode[side->files] = there.st_ino;
    }
    side->file[side->files++].path = path;
}

static void read_side(struct side *side, const char *first, const struct option_list *others) {
    read_file(side, first);
    for (uint32_t i = 0; i < others->count; i++)
        read_file(side, others->text[i]);
}

static double parse_quantile(const char *text) {
    char *end;
    const double percent = *text == 'p' ? strtod(text + 1, &end) : -1;
    if (*text != 'p' || end == text + 1 || *end || !(percent > 0 && percent < 100))
        program_fail_usage("--quantile: \"%s\" should be one such as p50 or p99.9", text);
    return percent / 100;
}

static void ask_hop(enum run_hop hop) {
    static const double usual[] = {0.5, 0.99};
    const uint32_t given = settings.quantiles.count;
    for (uint32_t i = 0; i < (given ? given : 2); i++)
        questions[question_count++] = (struct comparison_question){
            .hop = hop, .quantile = given ? parse_quantile(settings.quantiles.text[i]) : usual[i]};
}

static void ask_event(enum run_event event) {
    questions[question_count++] =
        (struct comparison_question){.kind = COMPARISON_EVENT, .event = event};
}

static void ask_rate(void) {
    questions[question_count++] = (struct comparison_question){.kind = COMPARISON_RATE};
}

/* False: nothing of that name can be asked. */
static bool ask_named(const char *name) {
    if (strcmp(name, comparison_rate_name) == 0) {
        ask_rate();
        return true;
    }
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++)
        if (strcmp(name, run_hop_name(hop)) == 0) {
            ask_hop(hop);
            return true;
        }
    for (enum run_event event = 0; event < RUN_EVENTS; event++)
        if (strcmp(name, run_event_name(event)) == 0) {
            ask_event(event);
            return true;
        }
    return false;
}

static void choose_questions(void) {
    for (uint32_t i = 0; i < settings.hops.count; i++) {
        for (uint32_t earlier = 0; earlier < i; earlier++)
            if (strcmp(settings.hops.text[i], settings.hops.text[earlier]) == 0)
                program_fail_usage("--hop: %s is given twice", settings.hops.text[i]);
        if (!ask_named(settings.hops.text[i]))
            program_fail_usage("--hop: \"%s\" should be one such as transit, age, lost or rate, "
                               "as the report lists them",
                               settings.hops.text[i]);
    }
    if (settings.hops.count)
        return;
    /* Whether it is good or bad that a picture is shown for longer, nobody can say. */
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++)
        if (hop != RUN_HOP_SHOWN_FOR)
            ask_hop(hop);
    for (enum run_event event = 0; event < RUN_EVENTS; event++)
        ask_event(event);
    ask_rate();
}

static void check_settings(void) {
    if (!(settings.threshold_percent >= 0 && settings.threshold_percent < 1000))
        program_fail_usage("--threshold: %g should be a percentage, 0 or more",
                           settings.threshold_percent);
    if (!(settings.level_percent > 0 && settings.level_percent <= 50))
        program_fail_usage("--level: %g should be a percentage above 0, at most 50",
                           settings.level_percent);
}

/* ---- which runs belong together ---- */

/* Those before, then those after. */
static const struct comparison_file *get_file(const struct side *before, const struct side *after,
                                              uint32_t i) {
    return i < before->files ? &before->file[i] : &after->file[i - before->files];
}

/* One stream each, or one of the medium: it is what is to be compared, under whatever name. */
static bool has_one_each(const struct side *before, const struct side *after,
                         enum comparison_medium medium) {
    for (uint32_t i = 0; i < before->files + after->files; i++)
        if (!comparison_file_only(get_file(before, after, i), medium))
            return false;
    return !settings.stream;
}

/* What stands for `run` in another file: the one that is to be compared with it; NULL: none. */
static const struct comparison_run *find_partner(const struct side *before,
                                                 const struct side *after,
                                                 const struct comparison_run *run, uint32_t file) {
    const struct comparison_file *other = get_file(before, after, file);
    const enum comparison_medium medium = comparison_run_medium(run);
    if (has_one_each(before, after, COMPARISON_OTHER))
        return comparison_file_only(other, COMPARISON_OTHER);
    if (medium != COMPARISON_OTHER && has_one_each(before, after, medium))
        return comparison_file_only(other, medium);
    return comparison_file_find(other, run->fact[COMPARISON_STREAM]);
}

/* False, and the first file without it. */
static bool collect(const struct side *before, const struct side *after,
                    const struct comparison_run *of, struct comparison_side runs[2],
                    const char **out_without) {
    runs[0].runs = runs[1].runs = 0;
    for (uint32_t i = 0; i < before->files + after->files; i++) {
        struct comparison_side *side = &runs[i >= before->files];
        const struct comparison_run *run = find_partner(before, after, of, i);
        *out_without = get_file(before, after, i)->path;
        if (!run)
            return false;
        side->run[side->runs++] = run;
    }
    return true;
}

/* Of all files, each once. */
static bool is_first(const struct side *before, const struct side *after, uint32_t file,
                     const struct comparison_run *run) {
    for (uint32_t i = 0; i < file; i++)
        if (find_partner(before, after, run, i))
            return false;
    return true;
}

/* What should be the same and is not, as lines; JSON takes them, or they are warnings. */
static void tell_differences(const struct comparison_side *before,
                             const struct comparison_side *after, json_t *list) {
    const char *stream = before->run[0]->fact[COMPARISON_STREAM];
    for (enum comparison_fact fact = 0; fact < COMPARISON_FACTS; fact++) {
        const char *first = before->run[0]->fact[fact];
        for (uint32_t i = 1; i < before->runs + after->runs; i++) {
            const struct comparison_run *run =
                i < before->runs ? before->run[i] : after->run[i - before->runs];
            char line[512];
            if (strcmp(first, run->fact[fact]) == 0)
                continue;
            snprintf(line, sizeof(line), "%s: %s is not the same: \"%s\" and \"%s\"", stream,
                     comparison_fact_name(fact), first, run->fact[fact]);
            if (list)
                json_array_append_new(list, json_string(line));
            else
                program_warn("%s", line);
            break;
        }
    }
}

/* ---- the whole ---- */

struct whole {
    struct side before, after;
    struct comparison_answer answer[ANSWERS_MAX];
    size_t common, compared; /* streams */
    size_t verdicts[COMPARISON_UNKNOWN + 1];
    int64_t outage_ns[2]; /* of the stream at hand; -1: not told */
    json_t *json;         /* NULL: text */
};

/* What is counted, and never came, says nothing; that nothing was lost does. */
static bool is_told(bool is_there, const struct comparison_answer *answer) {
    const struct comparison_question *question = &answer->question;
    if (settings.hops.count)
        return true;
    return is_there && (question->kind != COMPARISON_EVENT || question->event == RUN_EVENT_LOST ||
                        answer->before > 0 || answer->after > 0);
}

/* `why`: it cannot be compared at all; "": it was. */
static void tell_stream(struct whole *whole, const char *stream, const char *why, size_t count,
                        json_t *warnings) {
    if (!whole->json) {
        comparison_print(stream, why, whole->answer, count);
        if (!*why)
            comparison_print_outage(whole->outage_ns[0], whole->outage_ns[1]);
        return;
    }
    json_t *json =
        json_pack("{s:s, s:s, s:o, s:o, s:o}", "stream", stream, "why", why, "warnings", warnings,
                  "answers", comparison_make_json(whole->answer, count), "outage",
                  comparison_make_outage(whole->outage_ns[0], whole->outage_ns[1]));
    if (json_array_append_new(json_object_get(whole->json, "streams"), json) < 0)
        program_fail("there is no memory for the comparison");
}

/* Of all runs of a side. What came once tells nothing of chance: it has no verdict. */
static int64_t find_outage(const struct comparison_side *side) {
    int64_t longest_ns = -1;
    for (uint32_t i = 0; i < side->runs; i++)
        if (side->run[i]->outage_ns > longest_ns)
            longest_ns = side->run[i]->outage_ns;
    return longest_ns;
}

static void compare_stream(struct whole *whole, const struct comparison_side runs[2],
                           const char *stream) {
    /* The level is of all streams together. */
    const double level = settings.level_percent / 100 / (double)whole->common;
    json_t *warnings = whole->json ? json_array() : NULL;
    size_t count = 0;
    tell_differences(&runs[0], &runs[1], warnings);
    for (int side = 0; side < 2; side++)
        whole->outage_ns[side] = find_outage(&runs[side]);
    for (size_t i = 0; i < question_count; i++) {
        struct comparison_answer *answer = &whole->answer[count];
        const bool is_there = comparison_ask(&runs[0], &runs[1], &questions[i],
                                             level / (double)question_count, answer);
        count += is_told(is_there, answer);
    }
    comparison_judge(whole->answer, count, settings.threshold_percent / 100, level);
    for (size_t i = 0; i < count; i++)
        whole->verdicts[whole->answer[i].verdict]++;
    tell_stream(whole, stream, "", count, warnings);
}

static void compare_if_common(struct whole *whole, const struct comparison_run *run,
                              bool is_counting) {
    const char *stream = run->fact[COMPARISON_STREAM];
    struct comparison_side runs[2];
    const char *without;
    char why[COMPARISON_REASON_BYTES];
    const bool is_common = collect(&whole->before, &whole->after, run, runs, &without);
    if (is_counting) {
        whole->common += is_common;
        return;
    }
    if (!whole->json && whole->compared++)
        putchar('\n');
    if (is_common) {
        compare_stream(whole, runs, stream);
        return;
    }
    snprintf(why, sizeof(why), "not in %.200s", without);
    whole->outage_ns[0] = whole->outage_ns[1] = -1;
    whole->verdicts[COMPARISON_UNKNOWN]++;
    tell_stream(whole, stream, why, 0, whole->json ? json_array() : NULL);
}

/* Two passes: how many streams are in common, then what became of each. */
static void compare_all(struct whole *whole, bool is_counting) {
    const struct side *before = &whole->before, *after = &whole->after;
    for (uint32_t file = 0; file < before->files + after->files; file++)
        for (size_t i = 0; i < get_file(before, after, file)->runs; i++) {
            const struct comparison_run *run = &get_file(before, after, file)->run[i];
            if (is_first(before, after, file, run) &&
                (!settings.stream || strcmp(settings.stream, run->fact[COMPARISON_STREAM]) == 0))
                compare_if_common(whole, run, is_counting);
        }
}

static _Noreturn void fail_common(const struct side *before, const struct side *after) {
    char list[640] = "";
    size_t used = 0;
    for (uint32_t file = 0; file < before->files + after->files; file++) {
        const struct comparison_file *has = get_file(before, after, file);
        for (size_t i = 0; i < has->runs && used < sizeof(list); i++)
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s%s%s",
                                     i      ? ", "
                                     : file ? "; "
                                            : "",
                                     i ? "" : has->path, i ? "" : " has ",
                                     has->run[i].fact[COMPARISON_STREAM]);
    }
    program_fail("no stream%s%s is in all of them: %s; measure streams of one name, or one a "
                 "report",
                 settings.stream ? " " : "", settings.stream ? settings.stream : "", list);
}

static enum comparison_verdict judge_whole(const struct whole *whole) {
    if (whole->verdicts[COMPARISON_WORSE])
        return COMPARISON_WORSE;
    if (whole->verdicts[COMPARISON_BETTER])
        return COMPARISON_BETTER;
    /* Where something could be told of a part only, or nothing was asked, the whole is not "no
     * difference". */
    return whole->verdicts[COMPARISON_UNKNOWN] || !whole->verdicts[COMPARISON_SAME]
               ? COMPARISON_UNKNOWN
               : COMPARISON_SAME;
}

static int tell_whole(struct whole *whole) {
    const enum comparison_verdict verdict = judge_whole(whole);
    if (whole->json) {
        json_object_set_new(whole->json, "verdict", json_string(comparison_verdict_name(verdict)));
        report_print_json(whole->json);
    } else {
        printf("\n%s: %zu better, %zu worse, %zu without a difference, %zu that cannot be told "
               "(changes from %g %% on matter)\n",
               comparison_verdict_name(verdict), whole->verdicts[COMPARISON_BETTER],
               whole->verdicts[COMPARISON_WORSE], whole->verdicts[COMPARISON_SAME],
               whole->verdicts[COMPARISON_UNKNOWN], settings.threshold_percent);
        if (whole->before.files == 1 && whole->after.files == 1 &&
            (whole->verdicts[COMPARISON_BETTER] || whole->verdicts[COMPARISON_WORSE]))
            puts("one run a side does not tell what differs from run to run: add more with "
                 "--before and --after");
        report_flush();
    }
    const bool is_open = settings.is_strict &&
                         (verdict == COMPARISON_UNKNOWN || whole->verdicts[COMPARISON_UNKNOWN]);
    return verdict == COMPARISON_WORSE || is_open ? EXIT_FAILED : EXIT_DONE;
}

static void finish_side(struct side *side) {
    for (uint32_t i = 0; i < side->files; i++)
        comparison_file_finish(&side->file[i]);
}

int tool_report(int argc, char **argv) {
    static struct whole whole = {.before = {.name = "before"}, .after = {.name = "after"}};
    const int operand = program_start(&program, argc, argv);
    if (argc - operand != 2)
        program_fail_usage("two reports are to be named");
    check_settings();
    choose_questions();
    if (report_format_parse(settings.format) == REPORT_JSON)
        whole.json =
            json_pack("{s:[], s:f, s:f}", "streams", "threshold", settings.threshold_percent / 100,
                      "level", settings.level_percent / 100);
    read_side(&whole.before, argv[operand], &settings.before);
    read_side(&whole.after, argv[operand + 1], &settings.after);
    compare_all(&whole, true);
    if (whole.common == 0)
        fail_common(&whole.before, &whole.after);
    compare_all(&whole, false);
    const int exit_code = tell_whole(&whole);
    finish_side(&whole.before);
    finish_side(&whole.after);
    return exit_code;
}
