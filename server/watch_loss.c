/* Losses of readers: their logs of overruns, and what they have counted. */
#include "watch_account.h"

#include "record.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_CAUSE = SHMFRAME_CAUSE_WOKEN_LATE, LAST_CAUSE = SHMFRAME_CAUSE_RESTART };

/* Its log, and what it has counted, of one instant. */
struct account {
    struct shmframe_overrun line[SHMFRAME_OVERRUNS];
    unsigned lines;  /* that are news, and to be told one by one */
    unsigned in_sum; /* or none of them is, and so many are known all the same */
    uint64_t newest;
    uint64_t counted[LAST_CAUSE + 1];
};

static bool is_sane(const struct shmframe_overrun *line) {
    return line->cause >= FIRST_CAUSE && line->cause <= LAST_CAUSE && line->count > 0 &&
           line->count <= SEQUENCE_MAX && line->first > 0 && line->first <= SEQUENCE_MAX;
}

static void take_counters(const struct record_page *page, struct account *account) {
    struct shmframe_reader_counters counters;
    record_get_counters(page, &counters);
    account->counted[SHMFRAME_CAUSE_WOKEN_LATE] = counters.late_woken;
    account->counted[SHMFRAME_CAUSE_HELD] = counters.late_held;
    account->counted[SHMFRAME_CAUSE_AWAY] = counters.late_away;
    account->counted[SHMFRAME_CAUSE_RESTART] = counters.lost_restart;
}

/* Returns how many lines there are, with those that are no news. */
static int take_news(const struct record_page *page, uint64_t after, struct account *account) {
    const int found = record_get_overruns(page, account->line, SHMFRAME_OVERRUNS);
    account->lines = account->in_sum = 0;
    for (int i = 0; i < found; i++)
        if (account->line[i].number > after)
            account->line[account->lines++] = account->line[i];
    return found;
}

/* False: it changed meanwhile, or never fits together. The reader marks the line that it changes
 * before it counts, so that an old line untouched means that nothing has been counted beyond the
 * newest. */
static bool take_account(const struct record_page *page, uint64_t after, struct account *account) {
    account->newest = atomic_load_explicit(&page->overruns, memory_order_acquire);
    const int found = take_news(page, after, account);
    take_counters(page, account);
    atomic_thread_fence(memory_order_acquire);
    const uint64_t next = atomic_load_explicit(
        &page->overrun[account->newest % SHMFRAME_OVERRUNS].number, memory_order_relaxed);
    const uint64_t oldest =
        account->newest < SHMFRAME_OVERRUNS ? 0 : account->newest + 1 - SHMFRAME_OVERRUNS;
    const uint64_t kept = account->newest < SHMFRAME_OVERRUNS ? account->newest : SHMFRAME_OVERRUNS;
    if (next != oldest || (uint64_t)found != kept ||
        atomic_load_explicit(&page->overruns, memory_order_relaxed) != account->newest)
        return false;
    return true;
}

static int64_t duration_of(const struct shmframe_overrun *line) {
    switch ((enum shmframe_cause)line->cause) {
    case SHMFRAME_CAUSE_WOKEN_LATE:
        return line->woken_ns;
    case SHMFRAME_CAUSE_HELD:
        return line->held_ns;
    case SHMFRAME_CAUSE_AWAY:
        return line->away_ns;
    case SHMFRAME_CAUSE_NONE:
    case SHMFRAME_CAUSE_RESTART:
    case SHMFRAME_CAUSE_EVICTED:
    case SHMFRAME_CAUSE_WRITER_LATE:
    case SHMFRAME_CAUSE_DEVICE:
    case SHMFRAME_CAUSE_POOL:
    case SHMFRAME_CAUSES:
        break;
    }
    return 0;
}

static void tell_line(struct stream_reader *reader, const struct shmframe_overrun *line,
                      int64_t now_ns) {
    struct journal_mark mark = reader->watch.source->mark;
    mark.number = line->number;
    mark.told[line->cause] += line->count;
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_LOSS);
    event.cause = line->cause;
    event.first = line->first;
    event.count = line->count;
    event.generation = line->generation;
    event.time_ns = watch_past_ns(line->time_ns, now_ns);
    event.duration_ns = watch_span_ns(duration_of(line), event.time_ns);
    if (line->cause != SHMFRAME_CAUSE_RESTART) {
        watch_reader_blame(&event);
        snprintf(event.text, sizeof(event.text), "its depth is %u", reader->depth);
    }
    watch_reader_tell(reader, &event, &mark, true);
}

/* NULL: nothing is known but the sum. */
static const struct shmframe_overrun *find_most(const struct account *account, unsigned cause) {
    const struct shmframe_overrun *most = NULL;
    for (unsigned i = 0; i < account->in_sum; i++) {
        const struct shmframe_overrun *line = &account->line[i];
        if (is_sane(line) && line->cause == cause && (!most || line->count > most->count))
            most = line;
    }
    return most;
}

/* What was counted, and is neither told nor in a line that is still to be: the lines were
 * overwritten, or are too many. One line for each cause, of which the first must be paid for. The
 * last ones each must, but not from the reader's own budget, and from that of its leaving where its
 * process has told too many losses. */
static void tell_rest(struct stream_reader *reader, const struct account *account, int64_t now_ns,
                      bool is_last) {
    struct journal_payer payer = watch_reader_payer(reader);
    payer.own = is_last ? NULL : payer.own;
    struct journal_source *source = reader->watch.source;
    uint64_t left[LAST_CAUSE + 1];
    memcpy(left, account->counted, sizeof(left));
    for (unsigned i = 0; i < account->lines; i++)
        if (is_sane(&account->line[i]))
            left[account->line[i].cause] -= account->line[i].count;
    for (unsigned cause = FIRST_CAUSE; cause <= LAST_CAUSE; cause++) {
        struct journal_mark mark = source->mark;
        const uint64_t count = left[cause] - mark.told[cause];
        if (count == 0 || count > SEQUENCE_MAX) /* a page that lies may have counted backwards */
            continue;
        if (!journal_pay(&payer, JOURNAL_LOSSES, 1, now_ns) && is_last &&
            !journal_pay(&payer, JOURNAL_JOINS, 1, now_ns))
            return;
        mark.told[cause] += count;
        struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_LOSS);
        event.cause = cause;
        event.count = count;
        if (cause != SHMFRAME_CAUSE_RESTART)
            watch_reader_blame(&event);
        const struct shmframe_overrun *most = find_most(account, cause);
        watch_put_sum(&event, most ? most->count : 0, most ? most->first : 0, 0);
        watch_reader_tell(reader, &event, &mark, true);
    }
    const uint64_t before = account->lines ? account->line[0].number - 1 : account->newest;
    if (before > source->mark.number)
        source->mark.number = before;
}

static void tell_lines(struct stream_reader *reader, const struct account *account,
                       int64_t now_ns) {
    const struct journal_payer payer = watch_reader_payer(reader);
    for (unsigned i = 0; i < account->lines; i++) {
        const struct shmframe_overrun *line = &account->line[i];
        if (!is_sane(line))
            reader->watch.source->mark.number = line->number;
        else if (journal_pay(&payer, JOURNAL_LOSSES, 1, now_ns))
            tell_line(reader, line, now_ns);
        else
            return;
    }
}

void watch_tell_losses(struct stream_reader *reader, int64_t now_ns) {
    enum { TRIES = 3 };
    const struct record_page *page = watch_record(reader);
    const uint64_t told = reader->watch.source->mark.number;
    if (atomic_load_explicit(&page->overruns, memory_order_relaxed) <= told)
        return;
    struct account account;
    bool is_whole = false;
    for (unsigned i = 0; i < TRIES && !is_whole; i++)
        is_whole = take_account(page, told, &account);
    if (!is_whole || account.lines == 0)
        return; /* next time */
    const struct journal_payer payer = watch_reader_payer(reader);
    const unsigned lines = journal_can_pay(&payer, JOURNAL_LOSSES, now_ns);
    if (lines == 0)
        return;
    if (account.lines > lines) {
        account.in_sum = account.lines;
        account.lines = 0;
    }
    if (account.lines == 0 || account.line[0].number > told + 1)
        tell_rest(reader, &account, now_ns, false);
    tell_lines(reader, &account, now_ns);
}

void watch_tell_last_losses(struct stream_reader *reader, int64_t now_ns) {
    const struct record_page *page = watch_record(reader);
    struct account account = {0};
    watch_tell_losses(reader, now_ns);
    take_counters(page, &account);
    account.newest = atomic_load_explicit(&page->overruns, memory_order_relaxed);
    take_news(page, reader->watch.source->mark.number, &account);
    account.in_sum = account.lines;
    account.lines = 0;
    tell_rest(reader, &account, now_ns, true);
}
