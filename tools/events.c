/* shmframe events: the supervisor's journal, in words or as JSON. */
#include "event_list.h"
#include "event_text.h"
#include "gather_words.h"
#include "near.h"
#include "option.h"
#include "report.h"
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 256, LAST_WHEN_FOLLOWING = 10 };

static struct {
    bool is_following;
    uint32_t last;
    struct option_list streams, types;
    const char *since;
    const char *format;
} settings = {.format = "text"};

static const struct option_spec options[] = {
    {.name = "follow",
     .letter = 'f',
     .kind = OPTION_FLAG,
     .out = &settings.is_following,
     .help = "go on with what happens, also over a restart of the supervisor"},
    {.name = "last",
     .letter = 'n',
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.last,
     .argument = "N",
     .help = "only the newest N of them (with --follow 10, otherwise all)"},
    {.name = "stream",
     .kind = OPTION_LIST,
     .out = &settings.streams,
     .argument = "NAME",
     .help = "only of this stream; may be given several times"},
    {.name = "type",
     .kind = OPTION_LIST,
     .out = &settings.types,
     .argument = "TYPE",
     .help = "only of this type; several with commas between them, or given several times"},
    {.name = "since",
     .kind = OPTION_TEXT,
     .out = &settings.since,
     .argument = "TIME",
     .help = "only since then: 10m ago, 12:30, 12:30:15, or \"2026-11-21 12:30\""},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text, or json: one object a line"},
    {0},
};

static const struct program program = {
    .name = "shmframe events",
    .purpose = "Tells what happened to streams, readers, writers and nodes.",
    .notes = "Types: supervisor, stream-live, stream-ended, writer-gone, reader-joined,\n"
             "reader-left, loss, hold, hold-over, stall, stall-over, node.\n"
             "\n"
             "Example: shmframe events --follow --type loss,hold",
    .options = options,
};

struct events {
    struct shmframe_session *session;
    enum report_format format;
    bool is_wanted[SHMFRAME_JOURNAL_TYPES]; /* all of them, if none was named */
    int64_t since_wall_ns;
    struct shmframe_event newest; /* that was taken; id 0: none */
    struct shmframe_event batch[BATCH];
};

/* ---- what is wanted ---- */

static bool parse_clock(const char *text, int64_t *out_wall_ns) {
    static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d",
                                          "%H:%M:%S", "%H:%M"};
    const time_t now = time(NULL);
    for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm local;
        localtime_r(&now, &local);
        local.tm_hour = local.tm_min = local.tm_sec = 0;
        local.tm_isdst = -1;
        const char *end = strptime(text, formats[i], &local);
        if (!end || *end)
            continue;
        *out_wall_ns = (int64_t)mktime(&local) * 1000000000;
        return true;
    }
    return false;
}

static int64_t parse_since(const char *text) {
    int64_t ago_ns, wall_ns;
    const struct option_spec duration = {.name = "since", .kind = OPTION_DURATION, .out = &ago_ns};
    if (!option_store(&duration, text)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return now.tv_sec * INT64_C(1000000000) + now.tv_nsec - ago_ns;
    }
    if (!parse_clock(text, &wall_ns))
        program_fail_usage("--since: \"%s\" should be a time such as 10m (ago), 12:30 or "
                           "\"2026-11-21 12:30\"",
                           text);
    return wall_ns;
}

static unsigned parse_type(const char *text) {
    struct near near = {.wanted = text};
    for (unsigned type = 1; type < SHMFRAME_JOURNAL_TYPES; type++) {
        if (strcmp(shmframe_event_type_name(type), text) == 0)
            return type;
        near_offer(&near, shmframe_event_type_name(type));
    }
    program_fail_usage("--type: there is no type \"%s\"%s; --help lists them", text,
                       near_text(&near));
}

/* One or several, with commas between them. */
static void parse_types(struct events *events, const char *text) {
    for (;; text++) {
        char type[64];
        const size_t length = strcspn(text, ",");
        snprintf(type, sizeof(type), "%.*s", (int)length, text);
        events->is_wanted[parse_type(type)] = true;
        text += length;
        if (!*text)
            return;
    }
}

static void parse_settings(struct events *events) {
    events->format = report_format_parse(settings.format);
    for (uint32_t i = 0; i < settings.types.count; i++)
        parse_types(events, settings.types.text[i]);
    for (uint32_t i = 0; i < settings.streams.count; i++)
        if (!shmframe_name_is_valid(settings.streams.text[i]))
            program_fail_usage("--stream: \"%s\" cannot name a stream", settings.streams.text[i]);
    if (settings.since)
        events->since_wall_ns = parse_since(settings.since);
    if (settings.is_following && !settings.last && !settings.since)
        settings.last = LAST_WHEN_FOLLOWING;
}

static bool is_wanted(const struct events *events, const struct shmframe_event *event) {
    bool has_stream = settings.streams.count == 0;
    for (uint32_t i = 0; i < settings.streams.count; i++)
        has_stream |= strcmp(settings.streams.text[i], event->stream) == 0;
    const bool has_type = settings.types.count == 0 ||
                          (event->type < SHMFRAME_JOURNAL_TYPES && events->is_wanted[event->type]);
    return has_stream && has_type && event->wall_ns >= events->since_wall_ns;
}

/* ---- what is printed ---- */

static void print_event(const struct events *events, const struct shmframe_event *event) {
    if (events->format == REPORT_JSON) {
        report_print_json(gather_make_event_json(event));
        return;
    }
    char time[EVENT_TIME_BYTES], text[EVENT_TEXT_BYTES];
    event_format_time(event, !settings.is_following, time);
    event_describe(event, text);
    printf("%s %s\n", time, text);
}

/* The supervisor keeps so many: whoever asks too late, or of another journal, hears it. */
static void print_gap(const struct events *events, uint64_t first, uint64_t count) {
    if (events->format == REPORT_JSON)
        report_print_json(json_pack("{s:I, s:I}", "missed_first", (json_int_t)first, "missed",
                                    (json_int_t)count));
    else
        printf("... %" PRIu64 " event%s, from number %" PRIu64 " on, %s no longer kept\n", count,
               count == 1 ? "" : "s", first, count == 1 ? "is" : "are");
}

static void take(struct events *events, const struct shmframe_event *event) {
    if (events->newest.id && event->id > events->newest.id + 1)
        print_gap(events, events->newest.id + 1, event->id - events->newest.id - 1);
    events->newest = *event;
    if (is_wanted(events, event))
        print_event(events, event);
}

/* ---- all that there are ---- */

static bool is_event_wanted(void *user, const struct shmframe_event *event) {
    return is_wanted(user, event);
}

/* Tells the newest of what is wanted, `last` at most (0: all), oldest first. */
static int take_kept(struct events *events, uint32_t last) {
    struct event_list list;
    const int code = event_list_take(&list, events->session, is_event_wanted, events,
                                     last ? last : EVENT_LIST_MAX);
    events->newest = list.newest;
    for (uint32_t i = 0; i < list.count; i++)
        print_event(events, &list.event[i]);
    report_flush();
    event_list_finish(&list);
    return code;
}

/* ---- what comes ---- */

/* At another supervisor, or the same one started again: its journal goes on where it was, unless
 * it is another. */
static int check_journal(struct events *events) {
    if (events->newest.id == 0)
        return 0;
    const int count = shmframe_session_events(events->session, events->newest.id - 1, SHMFRAME_NOW,
                                              events->batch, 1);
    if (count < 0 && count != -EAGAIN)
        return count;
    const struct shmframe_event *same = count > 0 ? &events->batch[0] : NULL;
    if (same && (same->id > events->newest.id || same->wall_ns == events->newest.wall_ns))
        return 0;
    if (events->format == REPORT_TEXT)
        puts("... the supervisor's journal begins anew");
    else
        report_print_json(json_pack("{s:b}", "begins_anew", 1));
    events->newest = (struct shmframe_event){0};
    return 0;
}

static void follow(struct events *events) {
    bool is_same_journal = true;
    while (!program_is_stopping()) {
        int code = 0;
        if (!is_same_journal)
            code = check_journal(events);
        if (code == 0) {
            is_same_journal = true;
            code = shmframe_session_events(events->session, events->newest.id, SHMFRAME_FOREVER,
                                           events->batch, BATCH);
        }
        for (int i = 0; i < code; i++)
            take(events, &events->batch[i]);
        report_flush();
        if (code == -ENOTCONN || code == -ETIMEDOUT)
            is_same_journal = false; /* the next question waits for a supervisor */
        else if (code < 0 && code != -EINTR && code != -EAGAIN && code != -EBUSY)
            program_fail_call("events cannot be followed");
    }
}

int tool_events(int argc, char **argv) {
    static struct events events;
    const int operand = program_start(&program, argc, argv);
    if (operand < argc)
        program_fail_usage("no operand is taken; a stream is named by --stream");
    parse_settings(&events);
    events.session = program_open_session();
    program_stop_on_signals(events.session);
    const int code = take_kept(&events, settings.last);
    if (!settings.is_following && code < 0 && code != -EINTR)
        program_fail_call("the events cannot be read");
    if (settings.is_following)
        follow(&events);
    program_close_session(events.session);
    return EXIT_DONE;
}
