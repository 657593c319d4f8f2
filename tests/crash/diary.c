#include "diary.h"

#include "board.h"
#include "cast.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_NS INT64_C(2000000000)

struct line {
    enum shmframe_event_type type;
    pid_t pid;
    bool is_main;
    char text[64];
};

static struct {
    struct shmframe_session *session;
    uint64_t newest;
    struct line *line;
    size_t lines, room;
} diary;

void diary_begin(void) {
    diary.session = peer_open_session(SEATS);
}

void diary_end(void) {
    shmframe_session_close(diary.session);
    free(diary.line);
    memset(&diary, 0, sizeof(diary));
}

/* Lets the session find a new supervisor. */
static void dispatch(void) {
    shmframe_session_dispatch(diary.session);
}

static void keep(const struct shmframe_event *event) {
    if (diary.lines == diary.room) {
        diary.room = diary.room ? 2 * diary.room : 256;
        diary.line = realloc(diary.line, diary.room * sizeof(*diary.line));
        if (!diary.line)
            abort();
    }
    struct line *line = &diary.line[diary.lines++];
    *line = (struct line){.type = (enum shmframe_event_type)event->type,
                          .pid = event->pid,
                          .is_main = strcmp(event->stream, "main") == 0};
    snprintf(line->text, sizeof(line->text), "%.*s", (int)sizeof(line->text) - 1, event->text);
    if (event->id != diary.newest + 1)
        board_fault("line %llu of the journal came after %llu", (unsigned long long)event->id,
                    (unsigned long long)diary.newest);
    diary.newest = event->id;
}

bool diary_read(void) {
    enum { AT_ONCE = 16 };
    static struct shmframe_event events[AT_ONCE];
    int count;
    do {
        dispatch();
        if (!shmframe_session_is_connected(diary.session))
            return false;
        count = shmframe_session_events(diary.session, diary.newest, SHMFRAME_NOW, events, AT_ONCE);
        for (int i = 0; i < count; i++)
            keep(&events[i]);
    } while (count > 0);
    return count == -EAGAIN;
}

size_t diary_lines(void) {
    return diary.lines;
}

static enum note note_of(enum shmframe_event_type type) {
    return type == SHMFRAME_JOURNAL_READER_LEFT    ? NOTE_LEFT
           : type == SHMFRAME_JOURNAL_WRITER_GONE  ? NOTE_GONE
           : type == SHMFRAME_JOURNAL_STREAM_ENDED ? NOTE_ENDED
                                                   : NOTE_NONE;
}

enum note diary_find(size_t from, pid_t pid) {
    for (size_t i = from; i < diary.lines; i++)
        if (diary.line[i].pid == pid && note_of(diary.line[i].type) != NOTE_NONE)
            return note_of(diary.line[i].type);
    return NOTE_NONE;
}

bool diary_tells_of_takeover(size_t from) {
    for (size_t i = from; i < diary.lines; i++)
        if (diary.line[i].type == SHMFRAME_JOURNAL_SUPERVISOR)
            return true;
    return false;
}

enum note diary_await(size_t from, pid_t pid) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    enum note note;
    while ((note = diary_find(from, pid)) == NOTE_NONE && shmframe_now_ns() < deadline_ns) {
        diary_read();
        sleep_ns(300000);
    }
    return note;
}

static bool sees_readers(const struct shmframe_stream_info *stream, int count) {
    enum { READERS = 8 };
    struct shmframe_reader_info readers[READERS];
    if (shmframe_session_readers(diary.session, stream->name, shmframe_deadline_ns(ANSWER_NS),
                                 readers, READERS) != count)
        return false;
    for (int i = 0; i < count; i++)
        if (readers[i].is_evicted || readers[i].generation != stream->generation)
            return false;
    return true;
}

bool diary_sees_all(const pid_t writers[2], const char *guest) {
    struct shmframe_stream_info streams[4];
    dispatch();
    if (!shmframe_session_is_connected(diary.session) ||
        shmframe_session_streams(diary.session, shmframe_deadline_ns(ANSWER_NS), streams, 4) != 2)
        return false;
    for (unsigned i = 0; i < 2; i++)
        if (streams[i].writer_pid != writers[i] ||
            !sees_readers(&streams[i], (i == 0 ? 3 : 2) + (strcmp(guest, streams[i].name) == 0)))
            return false;
    return true;
}

/* ---- in the end ---- */

static bool is_join(enum shmframe_event_type type) {
    return type == SHMFRAME_JOURNAL_STREAM_LIVE || type == SHMFRAME_JOURNAL_READER_JOINED;
}

/* What the journal says of all that had a number. The next one may come before the end of the
 * former is told. */
struct account {
    unsigned comings, ends;
    bool has_left;           /* there is an end after the last coming */
    bool has_end_of_nothing; /* or an end more than there had been comings */
};

static struct account read_account(pid_t pid) {
    struct account account = {0};
    for (size_t i = 0; i < diary.lines; i++) {
        if (diary.line[i].pid != pid)
            continue;
        const bool is_end = note_of(diary.line[i].type) != NOTE_NONE;
        if (!is_end && !is_join(diary.line[i].type))
            continue;
        account.comings += !is_end;
        account.ends += is_end;
        account.has_left = is_end;
        account.has_end_of_nothing |= account.ends > account.comings;
    }
    return account;
}

/* Who died unknown has no line; another one may have had its number. */
static bool is_balanced(const struct account *account, unsigned lives) {
    return account->has_left && !account->has_end_of_nothing && account->ends <= lives;
}

static unsigned count_untold(bool must_tell) {
    unsigned untold = 0;
    for (size_t i = 0; i < diary.lines; i++) {
        const enum shmframe_event_type type = diary.line[i].type;
        if (!is_join(type) && note_of(type) == NOTE_NONE)
            continue;
        const struct account account = read_account(diary.line[i].pid);
        const unsigned lives = cast_count_lives(diary.line[i].pid);
        if (is_balanced(&account, lives))
            continue;
        untold++;
        if (must_tell)
            board_fault(
                "the journal tells of the end of process %d, of which there were %u, %u times%s: "
                "line %zu of %zu, type %d: %s",
                (int)diary.line[i].pid, lives, account.ends,
                account.has_end_of_nothing ? ", and more often than of comings" : "", i,
                diary.lines, (int)diary.line[i].type, diary.line[i].text);
    }
    return untold;
}

void diary_check_balance(void) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    diary_read();
    while (count_untold(false) > 0 && shmframe_now_ns() < deadline_ns) {
        sleep_ns(20000000);
        diary_read();
    }
    count_untold(true);
}
