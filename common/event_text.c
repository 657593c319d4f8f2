#include "event_text.h"
#include "duration.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct words {
    char *text;
    size_t used;
};

static void say(struct words *words, const char *text, ...) __attribute__((format(printf, 2, 3)));

static void say(struct words *words, const char *text, ...) {
    va_list values;
    va_start(values, text);
    const int length =
        vsnprintf(words->text + words->used, EVENT_TEXT_BYTES - words->used, text, values);
    va_end(values);
    const size_t room = EVENT_TEXT_BYTES - 1 - words->used;
    words->used += (size_t)length < room ? (size_t)length : room;
}

static void say_duration(struct words *words, int64_t duration_ns) {
    char text[DURATION_BYTES];
    duration_format(duration_ns, text);
    say(words, "%s", text);
}

static void say_who(struct words *words, const char *name, int32_t pid, uint32_t reader) {
    say(words, "%s", *name ? name : "somebody");
    if (pid && reader)
        say(words, " (pid %" PRId32 ", reader %" PRIu32 ")", pid, reader);
    else if (pid)
        say(words, " (pid %" PRId32 ")", pid);
    else if (reader)
        say(words, " (reader %" PRIu32 ")", reader);
}

static void say_subject(struct words *words, const struct shmframe_event *event) {
    say_who(words, event->name, event->pid, event->reader);
}

static void say_culprit(struct words *words, const struct shmframe_event *event) {
    say_who(words, event->culprit, event->culprit_pid, event->culprit_reader);
}

static bool is_own_fault(const struct shmframe_event *event) {
    return event->culprit_pid == event->pid && event->culprit_reader == event->reader;
}

static const char *plural(uint64_t count) {
    return count == 1 ? "" : "s";
}

/* ---- losses ---- */

/* Of several losses in sum nobody knows how long they took. */
static void say_length(struct words *words, const struct shmframe_event *event, const char *before,
                       const char *unknown) {
    say(words, "%s", event->duration_ns > 0 ? before : unknown);
    if (event->duration_ns > 0)
        say_duration(words, event->duration_ns);
}

/* Several holds or absences may have made it late, each of them short. */
static void say_share(struct words *words, const struct shmframe_event *event) {
    say_length(words, event, "", "too long");
    if (event->duration_ns > 0)
        say(words, " in all since it was last up to date");
}

/* Of a reader: which frames, and what it was at. */
static void say_reader_loss(struct words *words, const struct shmframe_event *event) {
    say_subject(words, event);
    say(words, " lost ");
    if (event->first == 0)
        say(words, "%" PRIu64 " frame%s", event->count, plural(event->count));
    else if (event->count == 1)
        say(words, "frame %" PRIu64, event->first);
    else
        say(words, "%" PRIu64 " frames, %" PRIu64 " to %" PRIu64, event->count, event->first,
            event->first + event->count - 1);
    switch ((enum shmframe_cause)event->cause) {
    case SHMFRAME_CAUSE_WOKEN_LATE:
        say(words, ": it ran ");
        say_length(words, event, "", "late");
        say(words, " after the writer had woken it");
        break;
    case SHMFRAME_CAUSE_HELD:
        say(words, ": it held leases for ");
        say_share(words, event);
        break;
    case SHMFRAME_CAUSE_AWAY:
        say(words, ": it was away for ");
        say_share(words, event);
        break;
    case SHMFRAME_CAUSE_RESTART:
        say(words, ": published in a ring that it was not linked to");
        break;
    case SHMFRAME_CAUSE_EVICTED:
        say(words, ": its place had been taken away");
        break;
    case SHMFRAME_CAUSE_NONE:
    case SHMFRAME_CAUSE_WRITER_LATE:
    case SHMFRAME_CAUSE_DEVICE:
    case SHMFRAME_CAUSE_POOL:
    case SHMFRAME_CAUSES:
        break;
    }
}

/* Of a writer: the frames never came to be; `first` is the one after the gap. */
static void say_missing(struct words *words, const struct shmframe_event *event) {
    say(words, "%" PRIu64 " frame%s", event->count, plural(event->count));
    if (event->first)
        say(words, " before %" PRIu64, event->first);
}

static void say_writer_late(struct words *words, const struct shmframe_event *event) {
    say_subject(words, event);
    say(words, " was late: it did not make ");
    say_missing(words, event);
    if (event->duration_ns > 0) {
        say(words, " (a gap of ");
        say_duration(words, event->duration_ns);
        say(words, ")");
    }
}

static void say_device_drop(struct words *words, const struct shmframe_event *event) {
    say(words, "the device dropped ");
    say_missing(words, event);
    say(words, ", as told by ");
    say_subject(words, event);
}

static void say_pool(struct words *words, const struct shmframe_event *event) {
    say_subject(words, event);
    say(words, " was refused a slot ");
    if (event->count == 1)
        say(words, "once");
    else
        say(words, "%" PRIu64 " times", event->count);
    if (event->duration_ns > 0) {
        say(words, " in ");
        say_duration(words, event->duration_ns);
    }
    if (event->first)
        say(words, ", before frame %" PRIu64, event->first);
    if (is_own_fault(event)) {
        say(words, ": it had them on loan or pinned itself");
    } else if (*event->culprit || event->culprit_pid || event->culprit_reader) {
        say(words, ": ");
        say_culprit(words, event);
        if (event->leases)
            say(words, " held %" PRIu32, event->leases);
        else
            say(words, " was behind");
    }
}

static void say_loss(struct words *words, const struct shmframe_event *event) {
    switch ((enum shmframe_cause)event->cause) {
    case SHMFRAME_CAUSE_WRITER_LATE:
        say_writer_late(words, event);
        break;
    case SHMFRAME_CAUSE_DEVICE:
        say_device_drop(words, event);
        break;
    case SHMFRAME_CAUSE_POOL:
        say_pool(words, event);
        break;
    case SHMFRAME_CAUSE_NONE:
    case SHMFRAME_CAUSE_WOKEN_LATE:
    case SHMFRAME_CAUSE_HELD:
    case SHMFRAME_CAUSE_AWAY:
    case SHMFRAME_CAUSE_RESTART:
    case SHMFRAME_CAUSE_EVICTED:
    case SHMFRAME_CAUSES:
        say_reader_loss(words, event);
        break;
    }
}

/* ---- holds and stalls ---- */

static void say_limit(struct words *words, const struct shmframe_event *event) {
    if (event->limit_ns <= 0)
        return;
    say(words, " (its limit is ");
    say_duration(words, event->limit_ns);
    say(words, ")");
}

static void say_hold(struct words *words, const struct shmframe_event *event, bool is_over) {
    say_subject(words, event);
    say(words, is_over ? " held a lease for " : " has been holding a lease for ");
    say_duration(words, event->duration_ns);
    say_limit(words, event);
}

static void say_stall(struct words *words, const struct shmframe_event *event, bool is_over) {
    say_subject(words, event);
    if (event->reader)
        say(words,
            is_over ? " came when it had been woken for " : " was woken, and has not come for ");
    else
        say(words, is_over ? " publishes again after " : " has published nothing for ");
    say_duration(words, event->duration_ns);
    say_limit(words, event);
    if (*event->culprit && !is_own_fault(event)) {
        say(words, ": kept waiting by ");
        say_culprit(words, event);
    }
}

/* Of one that did not go on: its text tells how it ended. */
static void say_stall_end(struct words *words, const struct shmframe_event *event) {
    say_subject(words, event);
    say(words,
        event->reader ? " had been woken, and had not come for " : " had published nothing for ");
    say_duration(words, event->duration_ns);
    say_limit(words, event);
}

/* ---- all of them ---- */

static void say_done(struct words *words, const struct shmframe_event *event, const char *what) {
    say_subject(words, event);
    say(words, " %s", what);
}

static void say_live(struct words *words, const struct shmframe_event *event) {
    say(words, "live, generation %" PRIu32 ", written by ", event->generation);
    say_subject(words, event);
}

static void say_what(struct words *words, const struct shmframe_event *event) {
    switch ((enum shmframe_event_type)event->type) {
    case SHMFRAME_JOURNAL_SUPERVISOR:
        say_subject(words, event);
        break;
    case SHMFRAME_JOURNAL_STREAM_LIVE:
        say_live(words, event);
        break;
    case SHMFRAME_JOURNAL_STREAM_ENDED:
        say(words, "ended");
        break;
    case SHMFRAME_JOURNAL_WRITER_GONE:
        say_done(words, event, "is gone, and did not end the stream");
        break;
    case SHMFRAME_JOURNAL_READER_JOINED:
        say_done(words, event, "joined");
        break;
    case SHMFRAME_JOURNAL_READER_LEFT:
        say_done(words, event, event->cause == SHMFRAME_CAUSE_EVICTED ? "was evicted" : "left");
        break;
    case SHMFRAME_JOURNAL_LOSS:
        say_loss(words, event);
        break;
    case SHMFRAME_JOURNAL_HOLD:
    case SHMFRAME_JOURNAL_HOLD_OVER:
        say_hold(words, event, event->type == SHMFRAME_JOURNAL_HOLD_OVER);
        break;
    case SHMFRAME_JOURNAL_STALL:
        say_stall(words, event, false);
        break;
    case SHMFRAME_JOURNAL_STALL_OVER:
        if (*event->text)
            say_stall_end(words, event);
        else
            say_stall(words, event, true);
        break;
    case SHMFRAME_JOURNAL_NODE:
        say(words, "node ");
        say_subject(words, event);
        break;
    case SHMFRAME_JOURNAL_NONE:
    case SHMFRAME_JOURNAL_TYPES:
        break;
    }
}

void event_describe(const struct shmframe_event *event, char text[EVENT_TEXT_BYTES]) {
    struct words words = {.text = text};
    text[0] = 0;
    if (*event->stream)
        say(&words, "%s: ", event->stream);
    if (event->type == SHMFRAME_JOURNAL_NONE)
        say(&words, "about another user's reader");
    else if (event->type >= SHMFRAME_JOURNAL_TYPES)
        say(&words, "event %" PRIu32, event->type); /* of a newer supervisor: its text tells */
    else
        say_what(&words, event);
    if (*event->text)
        say(&words, "%s%s", event->type == SHMFRAME_JOURNAL_LOSS ? "; " : ": ", event->text);
}

void event_format_time(const struct shmframe_event *event, bool has_date,
                       char text[EVENT_TIME_BYTES]) {
    const time_t seconds = event->wall_ns / 1000000000;
    struct tm local;
    char clock[EVENT_TIME_BYTES - 4];
    if (event->wall_ns < 0 || !localtime_r(&seconds, &local) ||
        strftime(clock, sizeof(clock), has_date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &local) == 0)
        strcpy(clock, "?");
    snprintf(text, EVENT_TIME_BYTES, "%s.%03d", clock, (int)(event->wall_ns / 1000000 % 1000));
}
