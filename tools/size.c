/* shmframe size: slots and memory that a stream needs, and what its readers' holds mean for them.
 */
#include "size.h"

#include "consumer.h"
#include "report.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct {
    uint32_t size[2];
    const char *of, *pixel_format, *sample_format, *format;
    uint32_t sample_rate, channels, samples, data_bytes;
    uint32_t loans, history;
    double ring_mib;
    struct shmframe_rational rate;
    struct option_list readers;
} settings = {.pixel_format = "yuv420p", .sample_format = "flt", .format = "text", .channels = 2};

static const struct option_spec options[] = {
    {.name = "size",
     .letter = 'S',
     .kind = OPTION_SIZE,
     .out = settings.size,
     .argument = "WxH",
     .help = "pictures of that size"},
    {.name = "pixel-format",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .out = &settings.pixel_format,
     .argument = "NAME",
     .help = "their pixel format, by libavutil's name (yuv420p)"},
    {.name = "rate",
     .letter = 'r',
     .kind = OPTION_RATIONAL,
     .out = &settings.rate,
     .argument = "RATE",
     .help = "frames a second; blocks of sound, and most streams that run, tell theirs"},
    {.name = "sample-rate",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.sample_rate,
     .argument = "HZ",
     .help = "sound of that rate"},
    {.name = "sample-format",
     .kind = OPTION_TEXT,
     .out = &settings.sample_format,
     .argument = "NAME",
     .help = "its sample format, by libavutil's name (flt)"},
    {.name = "channels",
     .letter = 'c',
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.channels,
     .argument = "COUNT",
     .help = "its channels (2)"},
    {.name = "block",
     .letter = 'b',
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.samples,
     .argument = "SAMPLES",
     .help = "samples a channel in each block (10 ms)"},
    {.name = "data",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.data_bytes,
     .argument = "BYTES",
     .help = "data of so many bytes at most"},
    {.name = "of",
     .kind = OPTION_TEXT,
     .out = &settings.of,
     .argument = "STREAM",
     .help = "this stream, as it runs, and its readers, as they measured themselves"},
    {.name = "reader",
     .letter = 'R',
     .kind = OPTION_LIST,
     .out = &settings.readers,
     .argument = "READER",
     .help = "a reader: its policy, depth=, leases=, hold=, usual=, late=, count=, joined by "
             "commas, such as in-order,depth=6,hold=80ms; may be given again"},
    {.name = "loans",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.loans,
     .argument = "COUNT",
     .help = "slots that the writer has on loan at once (1)"},
    {.name = "history",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.history,
     .argument = "COUNT",
     .help = "frames that it keeps whoever reads (1)"},
    {.name = "ring-mib",
     .kind = OPTION_NUMBER,
     .out = &settings.ring_mib,
     .argument = "MIB",
     .help = "address space of its ring (1024, or 16 slots)"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text or json"},
    {0},
};

static const struct program program = {
    .name = "shmframe size",
    .purpose =
        "Tells the slots and memory that a stream needs, and the depth that its readers need.",
    .options = options,
    .notes = "shmframe size --size 1920x1080 --rate 60 --reader latest "
             "--reader in-order,depth=4,hold=100ms",
};

/* ---- the question ---- */

/* 0: none was given. */
static int64_t period_of(struct shmframe_rational rate) {
    const int64_t period_ns = rate.num ? INT64_C(1000000000) * rate.den / rate.num : 0;
    if (rate.num && (period_ns == 0 || period_ns > SIZING_NS_MAX))
        program_fail_usage("--rate should be from a frame a day to 1000000000 a second");
    return period_ns;
}

static void fail_format(void) {
    program_fail_usage("%s", shmframe_last_error());
}

static void ask_about_sound(struct size_question *question) {
    const uint32_t samples = settings.samples              ? settings.samples
                             : settings.sample_rate >= 100 ? settings.sample_rate / 100
                                                           : 1;
    if (shmframe_format_audio(&question->params.format, settings.sample_format, settings.channels,
                              settings.sample_rate, samples) < 0)
        fail_format();
    question->period_ns = (int64_t)(1e9 * samples / settings.sample_rate + 0.5);
    if (question->period_ns > SIZING_NS_MAX)
        program_fail_usage("--block: %u samples at %u Hz are more than a day", samples,
                           settings.sample_rate);
}

static void ask_on_paper(struct size_question *question) {
    struct shmframe_format *format = &question->params.format;
    const int kinds = (settings.size[0] || settings.size[1]) + (settings.sample_rate > 0) +
                      (settings.data_bytes > 0);
    if (kinds != 1)
        program_fail_usage("one of --size, --sample-rate and --data is needed");
    question->period_ns = period_of(settings.rate);
    if (settings.sample_rate) {
        if (settings.rate.num)
            program_fail_usage(
                "--rate is of pictures and data: blocks of sound come as --block says");
        ask_about_sound(question);
    } else if (settings.data_bytes) {
        if (shmframe_format_data(format, NULL, settings.data_bytes) < 0)
            fail_format();
    } else {
        if (shmframe_format_video(format, settings.pixel_format, settings.size[0],
                                  settings.size[1]) < 0)
            fail_format();
        format->video.frame_rate = settings.rate;
    }
    if (question->period_ns <= 0)
        program_fail_usage("--rate is needed, above 0: frames a second");
    for (uint32_t i = 0; i < format->plane_count; i++)
        question->frame_bytes += (uint64_t)format->plane[i].row_bytes * format->plane[i].rows;
    shmframe_format_describe(format, question->format, sizeof(question->format));
    question->params.loans = settings.loans;
    question->params.history = settings.history;
    if (!(settings.ring_mib >= 0 && settings.ring_mib < 1 << 24))
        program_fail_usage("--ring-mib should be from 0 to %d", (1 << 24) - 1);
    question->params.ring_bytes = (uint64_t)(settings.ring_mib * 1024 * 1024);
}

static void ask(struct size_question *question) {
    if (settings.of) {
        if (settings.size[0] || settings.size[1] || settings.sample_rate || settings.data_bytes ||
            settings.loans || settings.history || settings.ring_mib > 0)
            program_fail_usage(
                "--of tells what the stream is: only --rate and --reader go with it");
        question->period_ns = period_of(settings.rate);
        size_ask_stream(question, settings.of);
    } else {
        ask_on_paper(question);
    }
    for (uint32_t i = 0; i < settings.readers.count; i++)
        size_add_reader(question, settings.readers.text[i]);
    uint32_t kept =
        sizing_add_up(question->reader, question->readers, question->period_ns, false).depth;
    kept = settings.history > kept ? settings.history : kept;
    for (unsigned i = 0; i < question->readers; i++)
        question->reader[i].kept = kept;
}

/* ---- the answer ---- */

static uint32_t at_least_one(uint32_t count) {
    return count ? count : 1;
}

/* Slots of so many bytes that get memory though nobody needs them, with such a history. */
static uint32_t count_spare(uint64_t slot_bytes, uint32_t depth) {
    enum { PAGE_BYTES = 4096 };
    struct shmframe_writer_params params = {.loans = 1};
    struct shmframe_ring_plan ring;
    /* Whole pages: one less would not do, and there is padding behind. */
    if (shmframe_format_data(&params.format, NULL, slot_bytes - (PAGE_BYTES - 1)) < 0 ||
        shmframe_ring_plan(&params, depth, 1, &ring) < 0)
        return 0;
    return ring.slots_used - (1 + depth + 1);
}

/* What the ring of a stream that runs grows by, from what its own readers ask for. */
static bool plan_growth(const struct size_question *question, struct sizing_demand demand,
                        struct size_ring *ring, char *why, size_t bytes) {
    const struct sizing_demand now =
        sizing_add_up(question->reader, question->running, question->period_ns, false);
    if (demand.depth > SHMFRAME_DEPTH_MAX) {
        snprintf(why, bytes, "a depth of %u is needed, a reader can have %d: fewer frames held",
                 demand.depth, SHMFRAME_DEPTH_MAX);
        return false;
    }
    const uint32_t depth = at_least_one(now.depth);
    const uint32_t deeper = demand.depth > depth ? demand.depth - depth : 0;
    /* The first reader's slot is there before it. */
    const uint32_t more = deeper + at_least_one(demand.leases) - at_least_one(now.leases);
    *ring = question->ring;
    const uint32_t spare = count_spare(ring->slot_bytes, depth);
    const uint32_t needed = (ring->slots_used > spare ? ring->slots_used - spare : 0) + more;
    const uint32_t used = needed + count_spare(ring->slot_bytes, depth + deeper);
    ring->slots_used = used < ring->slots ? used : ring->slots;
    ring->memory_bytes += (ring->slots_used - question->ring.slots_used) * ring->slot_bytes;
    if (needed < ring->slots) /* one is free */
        return true;
    snprintf(
        why, bytes,
        "%u slots are needed, the ring has %u: fewer readers, less depth, or a writer with more "
        "ring_bytes",
        needed + 1, ring->slots);
    return false;
}

/* Whether there is such a ring; `why` not. */
static bool plan(const struct size_question *question, bool is_as_needed, struct size_ring *ring,
                 char *why, size_t bytes) {
    const struct sizing_demand demand =
        sizing_add_up(question->reader, question->readers, question->period_ns, is_as_needed);
    if (settings.of)
        return plan_growth(question, demand, ring, why, bytes);
    struct shmframe_ring_plan found;
    const int code = shmframe_ring_plan(&question->params, demand.depth, demand.leases, &found);
    /* A depth that no reader can have is no room either, where it is what would be needed. */
    if (code < 0 && code != -ENOSPC && !is_as_needed)
        fail_format();
    snprintf(why, bytes, "%s", code < 0 ? shmframe_last_error() : "");
    if (code < 0)
        return false;
    *ring = (struct size_ring){.slot_bytes = found.slot_bytes,
                               .memory_bytes = found.memory_bytes,
                               .ring_bytes = found.ring_bytes,
                               .slots = found.slots,
                               .slots_used = found.slots_used};
    return true;
}

static json_t *make_ring_json(const struct size_ring *ring) {
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "slots", (json_int_t)ring->slots_used,
                     "slots_max", (json_int_t)ring->slots, "slot_bytes",
                     (json_int_t)ring->slot_bytes, "memory_bytes", (json_int_t)ring->memory_bytes,
                     "address_bytes",
                     ring->ring_bytes ? json_integer((json_int_t)ring->ring_bytes) : json_null());
}

static json_t *make_reader_json(const struct sizing_reader *reader, int64_t period_ns) {
    const struct sizing_verdict verdict = sizing_judge(reader, period_ns);
    const bool is_latest = reader->policy == SHMFRAME_LATEST;
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:I, s:I}", "policy",
        consumer_policy_name(reader->policy), "count", (json_int_t)reader->count, "depth",
        (json_int_t)reader->depth, "leases", (json_int_t)reader->leases, "hold_ns",
        (json_int_t)reader->longest_ns, "usual_hold_ns", (json_int_t)reader->usual_ns, "late_ns",
        (json_int_t)reader->late_ns, "depth_needed", (json_int_t)verdict.depth_needed,
        "is_deep_enough", verdict.is_deep_enough, "keeps_up", verdict.keeps_up, "lost",
        (json_int_t)(is_latest ? 0 : verdict.missed), "skipped",
        (json_int_t)(is_latest ? verdict.missed : 0), "worst_age_ns", (json_int_t)verdict.age_ns);
    json_object_set_new(object, "name", reader->name[0] ? json_string(reader->name) : json_null());
    json_object_set_new(object, "reader",
                        reader->number ? json_integer(reader->number) : json_null());
    json_object_set_new(object, "covered_ns",
                        is_latest ? json_null() : json_integer(verdict.covered_ns));
    return object;
}

static double to_ms(int64_t ns) {
    return (double)ns / 1e6;
}

static double to_mib(uint64_t bytes) {
    return (double)bytes / (1024 * 1024);
}

static const char *print_bytes(uint64_t bytes, char text[32]) {
    if (bytes < 1024 * 1024)
        snprintf(text, 32, "%.1f KiB", (double)bytes / 1024);
    else
        snprintf(text, 32, "%.2f MiB", to_mib(bytes));
    return text;
}

/* "reader 3 (view)", or of one on paper: "a reader". */
static void name_reader(const struct sizing_reader *reader, char *text, size_t bytes) {
    if (reader->number)
        snprintf(text, bytes, "reader %u (%s)", reader->number, reader->name);
    else
        snprintf(text, bytes, "a reader");
}

/* What is to be done about a reader, in one line; false: nothing. */
static bool warn_of(const struct sizing_reader *reader, int64_t period_ns, char *line,
                    size_t bytes) {
    const struct sizing_verdict verdict = sizing_judge(reader, period_ns);
    char who[128];
    name_reader(reader, who, sizeof(who));
    if (reader->policy == SHMFRAME_LATEST)
        return false;
    const uint32_t depth = reader->depth > reader->kept ? reader->depth : reader->kept;
    char late[64] = "";
    if (reader->late_ns)
        snprintf(late, sizeof(late), ", and takes it up to %.1f ms late,", to_ms(reader->late_ns));
    if (!verdict.keeps_up)
        snprintf(line, bytes,
                 "%s usually holds a frame for %.1f ms and cannot keep up with one each "
                 "%.2f ms, whatever its depth: it needs %" PRId64 " leases, or to be quicker",
                 who, to_ms(reader->usual_ns), to_ms(period_ns),
                 (reader->usual_ns + period_ns - 1) / period_ns);
    else if (!verdict.is_deep_enough && reader->policy == SHMFRAME_LOSSLESS)
        snprintf(line, bytes,
                 "%s, lossless, holds a frame for %.1f ms%s and keeps the writer waiting: a "
                 "depth of %u allows for %.1f ms, %u would do",
                 who, to_ms(reader->longest_ns), late, depth, to_ms(verdict.covered_ns),
                 verdict.depth_needed);
    else if (!verdict.is_deep_enough)
        snprintf(line, bytes,
                 "%s, in-order, holds a frame for %.1f ms%s and loses %" PRIu64 " frame%s each "
                 "time: a depth of %u allows for %.1f ms, %u would do",
                 who, to_ms(reader->longest_ns), late, verdict.missed,
                 verdict.missed == 1 ? "" : "s", depth, to_ms(verdict.covered_ns),
                 verdict.depth_needed);
    else
        return false;
    return true;
}

static json_t *make_warnings_json(const struct size_question *question) {
    json_t *list = json_array();
    char line[400];
    for (unsigned i = 0; i < question->readers; i++)
        if (warn_of(&question->reader[i], question->period_ns, line, sizeof(line)))
            json_array_append_new(list, json_string(line));
    return list;
}

static void print_json(const struct size_question *question, const struct size_ring *ring,
                       const struct size_ring *needed) {
    json_t *readers = json_array();
    for (unsigned i = 0; i < question->readers; i++)
        json_array_append_new(readers, make_reader_json(&question->reader[i], question->period_ns));
    report_print_json(
        json_pack("{s:o, s:s, s:I, s:I, s:f, s:o, s:o, s:o, s:o}", "stream",
                  question->stream[0] ? json_string(question->stream) : json_null(), "format",
                  question->format, "period_ns", (json_int_t)question->period_ns, "frame_bytes",
                  (json_int_t)question->frame_bytes, "bandwidth_bytes_per_s",
                  (double)question->frame_bytes * 1e9 / (double)question->period_ns, "ring",
                  make_ring_json(ring), "needed", needed ? make_ring_json(needed) : json_null(),
                  "readers", readers, "warnings", make_warnings_json(question)));
}

static void add_reader_row(struct table *table, const struct sizing_reader *reader,
                           int64_t period_ns) {
    const struct sizing_verdict verdict = sizing_judge(reader, period_ns);
    const bool is_latest = reader->policy == SHMFRAME_LATEST;
    if (reader->number)
        table_add(table, "%u %s", reader->number, reader->name);
    else
        table_add(table, "%u of", reader->count);
    table_add(table, "%s", consumer_policy_name(reader->policy));
    table_add(table, is_latest ? "-" : "%u", reader->depth);
    table_add(table, "%u", reader->leases);
    table_add(table, "%.1f ms", to_ms(reader->usual_ns));
    table_add(table, "%.1f ms", to_ms(reader->longest_ns));
    table_add(table, is_latest ? "any" : "%.1f ms", to_ms(verdict.covered_ns));
    table_add(table, is_latest ? "-" : "%u", verdict.depth_needed);
    table_add(table, "%" PRIu64 " %s", verdict.missed, is_latest ? "skipped" : "lost");
    table_add(table, "%.1f ms", to_ms(verdict.age_ns));
}

static void print_readers(const struct size_question *question) {
    static const char *const titles[] = {"READER",      "POLICY",     ">DEPTH",   ">LEASES",
                                         ">USUAL HOLD", ">LONGEST",   ">COVERED", ">NEEDED",
                                         ">MISSED",     ">WORST AGE", NULL};
    struct table table;
    table_init(&table, titles);
    for (unsigned i = 0; i < question->readers; i++)
        add_reader_row(&table, &question->reader[i], question->period_ns);
    putchar('\n');
    table_print(&table, stdout);
    table_finish(&table);
}

static void print_text(const struct size_question *question, const struct size_ring *ring,
                       const struct size_ring *needed, const char *why) {
    printf("%s, a frame each %.2f ms\n", question->format, to_ms(question->period_ns));
    printf("slots      %u, room for %u\n", ring->slots_used, ring->slots);
    char memory[32], slot[32];
    printf("memory     %s, %s a slot\n", print_bytes(ring->memory_bytes, memory),
           print_bytes(ring->slot_bytes, slot));
    /* Of a stream that runs a slot is known, not what is in it. */
    printf("bandwidth  %s%.2f MiB/s\n", settings.of ? "at most " : "",
           to_mib(question->frame_bytes) * 1e9 / (double)question->period_ns);
    if (needed && needed->slots_used != ring->slots_used)
        printf("as needed  %u slots, %s\n", needed->slots_used,
               print_bytes(needed->memory_bytes, memory));
    else if (!needed)
        printf("as needed  %s\n", why);
    if (question->readers)
        print_readers(question);
    char line[400];
    for (unsigned i = 0, count = 0; i < question->readers; i++)
        if (warn_of(&question->reader[i], question->period_ns, line, sizeof(line)))
            printf("%swarning: %s\n", count++ ? "" : "\n", line);
}

int tool_size(int argc, char **argv) {
    program_start(&program, argc, argv);
    const enum report_format format = report_format_parse(settings.format);
    static struct size_question question;
    ask(&question);
    struct size_ring ring, needed;
    char why[256];
    if (!plan(&question, false, &ring, why, sizeof(why)))
        program_fail("%s", why);
    const bool is_possible = plan(&question, true, &needed, why, sizeof(why));
    if (format == REPORT_JSON)
        print_json(&question, &ring, is_possible ? &needed : NULL);
    else
        print_text(&question, &ring, is_possible ? &needed : NULL, why);
    report_flush();
    return EXIT_DONE;
}
