/* Reader: how it waits: asleep, spinning, or by the descriptor that a program polls. */
#include "reader.h"

#include "bell.h"
#include "clock.h"
#include "error.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* True: acquire would not answer -EAGAIN. */
static bool is_ready(struct shmframe_reader *reader, int64_t now_ns) {
    if (reader->untold == 0) {
        reader->untold = reader_attend(reader, now_ns);
        if (reader->untold < 0)
            message_put_text(reader->untold_text, sizeof(reader->untold_text),
                             shmframe_last_error());
    }
    if (reader->untold < 0)
        return true;
    const int code = reader_look(reader, false);
    if (code == -EAGAIN)
        reader_note_looked(reader, now_ns);
    return code != -EAGAIN;
}

static uint64_t find_ready(struct shmframe_reader *const *readers, uint32_t count, int64_t now_ns) {
    uint64_t ready = 0;
    for (uint32_t i = 0; i < count; i++)
        ready |= (uint64_t)is_ready(readers[i], now_ns) << i;
    return ready;
}

static struct bell_others find_others(const struct shmframe_reader *reader) {
    return (struct bell_others){.notice = reader->notice ? reader->notice->page : NULL,
                                .notice_seen = reader->notice_seen,
                                .interrupt = &reader->object.session->interrupt};
}

static int64_t min_ns(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max_ns(int64_t a, int64_t b) {
    return a > b ? a : b;
}

int reader_may_sleep(const struct shmframe_reader *reader, int64_t now_ns, int64_t deadline_ns) {
    if (session_is_interrupted(reader->object.session))
        return -EINTR;
    if (now_ns < deadline_ns)
        return 0;
    return deadline_ns == SHMFRAME_NOW ? -EAGAIN : -ETIMEDOUT;
}

static void note_waiting(struct shmframe_reader *const *readers, uint32_t count, int64_t now_ns) {
    for (uint32_t i = 0; i < count; i++)
        record_set_doing(&readers[i]->record, SHMFRAME_DOING_ASLEEP, now_ns);
}

static void note_woke(struct shmframe_reader *const *readers, uint32_t count, int64_t now_ns) {
    for (uint32_t i = 0; i < count; i++) {
        overrun_woke(&readers[i]->clock, now_ns);
        record_set_doing(&readers[i]->record, SHMFRAME_DOING_AWAY, now_ns);
    }
}

int64_t reader_find_spin_end(struct shmframe_reader *const *readers, uint32_t count,
                             int64_t now_ns) {
    int64_t spin_ns = 0, until_ns;
    for (uint32_t i = 0; i < count; i++)
        spin_ns = max_ns(spin_ns, readers[i]->spin_ns);
    return __builtin_add_overflow(now_ns, spin_ns, &until_ns) ? SHMFRAME_FOREVER : until_ns;
}

int reader_sleep_once(struct shmframe_reader *const *readers, uint32_t count, int64_t *now_ns,
                      int64_t deadline_ns, int64_t spin_until_ns) {
    enum { PAUSE_MIN_NS = 1000000 };
    struct ring_reader *cores[SHMFRAME_WAIT_MAX];
    uint32_t open = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!readers[i]->is_at_end)
            cores[open++] = &readers[i]->link->core;
        /* Another thread was at the session: soon again. */
        if (readers[i]->object.is_upkeep_due)
            deadline_ns = min_ns(deadline_ns, *now_ns + PAUSE_MIN_NS);
    }
    struct bell_others others = find_others(readers[0]);
    others.is_frame_due = count == 1 && readers[0]->is_frame_due;
    /* Not past the next upkeep: soon, where a supervisor is awaited or has just come. */
    const int64_t upkeep_ns = session_upkeep_ns(readers[0]->object.session);
    deadline_ns = min_ns(deadline_ns, max_ns(upkeep_ns, *now_ns + PAUSE_MIN_NS));
    note_waiting(readers, count, *now_ns);
    if (*now_ns < spin_until_ns) {
        const int64_t until_ns = min_ns(spin_until_ns, deadline_ns);
        if (bell_spin(cores, open, &others, until_ns) || until_ns == deadline_ns) {
            *now_ns = clock_now_ns();
            note_woke(readers, count, *now_ns);
            return 0;
        }
    }
    const int code = bell_wait(cores, open, &others, deadline_ns);
    if (code == -ETIMEDOUT)
        readers[0]->is_frame_due = false;
    *now_ns = clock_now_ns();
    note_woke(readers, count, *now_ns);
    for (uint32_t i = 0; i < count; i++) {
        readers[i]->wake_ns = *now_ns;
        record_count(&readers[i]->record, RECORD_SLEEPS, 1);
    }
    return code == -EINTR ? code : code == 0;
}

void reader_disarm(struct shmframe_reader *reader) {
    reader->is_armed = false;
    bell_disarm(&reader->link->core);
    reader->wake_ns = clock_now_ns();
    record_set_doing(&reader->record, SHMFRAME_DOING_AWAY, reader->wake_ns);
}

void reader_stop_polling(struct shmframe_reader *const *readers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!readers[i]->is_armed)
            continue;
        reader_disarm(readers[i]);
        eventfd_write(readers[i]->mail_event, 1);
    }
}

static int wait_for(struct shmframe_reader *const *readers, uint32_t count, int64_t deadline_ns,
                    uint64_t *out_ready) {
    int64_t now_ns = clock_now_ns();
    int woken = 0;
    reader_stop_polling(readers, count);
    const int64_t spin_until_ns = reader_find_spin_end(readers, count, now_ns);
    for (;;) {
        const uint64_t ready = find_ready(readers, count, now_ns);
        if (ready) {
            *out_ready = ready;
            return 0;
        }
        record_count(&readers[0]->record, RECORD_SPURIOUS, (uint64_t)woken);
        int code = reader_may_sleep(readers[0], now_ns, deadline_ns);
        if (code < 0)
            return code;
        woken = reader_sleep_once(readers, count, &now_ns, deadline_ns, spin_until_ns);
        if (woken < 0)
            return woken;
    }
}

__attribute__((hot)) int shmframe_reader_wait(struct shmframe_reader *reader, int64_t deadline_ns) {
    uint64_t ready;
    return wait_for(&reader, 1, deadline_ns, &ready);
}

int shmframe_readers_wait(struct shmframe_reader *const *readers, uint32_t count,
                          int64_t deadline_ns, uint64_t *out_ready) {
    if (count == 0 || count > SHMFRAME_WAIT_MAX)
        return error_set(-EINVAL, "1 to %d readers can be waited for, not %u", SHMFRAME_WAIT_MAX,
                         count);
    for (uint32_t i = 1; i < count; i++)
        if (readers[i]->object.session != readers[0]->object.session)
            return error_set(-EINVAL, "the readers '%s' and '%s' are of different sessions",
                             readers[0]->stream, readers[i]->stream);
    uint64_t ready;
    int code = wait_for(readers, count, deadline_ns, &ready);
    if (code < 0)
        return code;
    *out_ready = ready;
    return __builtin_popcountll(ready);
}

/* ---- the descriptor to poll ---- */

/* Takes the bytes. At the end of the file, or of whatever a socket that is none of the right kind
 * says, it is of no more use. */
static void drain_wake(struct shmframe_reader *reader) {
    enum { BYTES_A_TURN = 16 };
    struct link_reader *link = reader->link;
    for (unsigned i = 0; i < BYTES_A_TURN && link->is_watched; i++) {
        char bytes[64];
        const ssize_t taken = recv(link->wake, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (taken < 0 && (errno == EAGAIN || errno == ENOMEM))
            break; /* of the latter the descriptor stays readable */
        if (taken == 0 || (taken < 0 && errno != EINTR)) {
            reader_unwatch(reader, link);
            close(link->wake);
            link->wake = -1;
        }
    }
    uint64_t count;
    eventfd_read(reader->mail_event, &count);
}

bool reader_arm(struct shmframe_reader *reader) {
    drain_wake(reader);
    if (!reader_watch(reader, reader->link)) /* readable until it is */
        eventfd_write(reader->mail_event, 1);
    session_lock(reader->object.session);
    session_do_upkeep(reader->object.session, clock_now_ns());
    session_unlock(reader->object.session);
    reader_destroy_left(
        reader); /* no upkeep is due after this one: reader_look_after() has none to see to it */
    if (reader_has_notice(reader) ||
        atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return false;
    reader->is_armed = true;
    record_set_doing(&reader->record, SHMFRAME_DOING_POLLING, clock_now_ns());
    if (reader->is_at_end || bell_arm(&reader->link->core))
        return true;
    reader_disarm(reader);
    return false;
}
