/* Writer: its events: who reads it, and what is asked of it. */
#include "writer.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct shmframe_writer_event *add_event(struct shmframe_writer *writer,
                                               enum shmframe_writer_event_type type) {
    if (writer->event_count == WRITER_EVENTS_MAX)
        return NULL;
    const uint32_t place = (writer->event_first + writer->event_count++) % WRITER_EVENTS_MAX;
    writer->event[place] = (struct shmframe_writer_event){.type = type};
    session_kick(writer->object.session);
    return &writer->event[place];
}

/* How well `reader` fits an event; 0: not at all. After a restart of the supervisor numbers are
 * new, and only process and name tell, until it is told of again. */
static unsigned fits(const struct writer_reader *reader, const struct message_reader_event *event) {
    if (reader->pid != event->pid)
        return 0;
    const bool is_same_number = reader->number == event->number;
    if (is_same_number && !reader->is_former)
        return 4;
    if (strcmp(reader->name, event->name) != 0 && event->number != 0)
        return 0;
    return reader->is_former ? 2 + is_same_number : 1;
}

static struct writer_reader *find_reader(struct shmframe_writer *writer,
                                         const struct message_reader_event *event) {
    struct writer_reader *best = NULL;
    unsigned best_fit = 0;
    for (uint32_t i = 0; i < writer->reader_count; i++) {
        const unsigned fit = fits(&writer->reader[i], event);
        if (fit <= best_fit)
            continue;
        best = &writer->reader[i];
        best_fit = fit;
    }
    return best;
}

static void tell_reader(struct shmframe_writer *writer, enum shmframe_writer_event_type type,
                        const struct writer_reader *reader) {
    struct shmframe_writer_event *event = add_event(writer, type);
    if (!event)
        return;
    event->reader = reader->told;
    event->pid = reader->pid;
    memcpy(event->name, reader->name, sizeof(event->name));
}

/* Whether it has joined already, with a link to an older ring, or under a former supervisor. */
static bool has_joined(struct shmframe_writer *writer, const struct message_reader_event *event) {
    struct writer_reader *reader = find_reader(writer, event);
    if (!reader || (reader->number != event->number && !reader->is_former))
        return false;
    if (reader->is_former && !(event->flags & MESSAGE_FOLLOWS))
        return false;
    reader->number = event->number;
    reader->is_former = false;
    return true;
}

/* From half full on, so that one lack of memory costs nobody his event. */
static bool make_room(struct shmframe_writer *writer) {
    if (writer->reader_count < writer->reader_room / 2)
        return true;
    const uint32_t room = 2 * writer->reader_room;
    struct writer_reader *more = realloc(writer->reader, room * sizeof(*more));
    if (more) {
        writer->reader = more;
        writer->reader_room = room;
    }
    return writer->reader_count < writer->reader_room;
}

static void add_reader(struct shmframe_writer *writer, const struct message_reader_event *event) {
    if (!make_room(writer))
        return;
    struct writer_reader *reader = &writer->reader[writer->reader_count++];
    *reader =
        (struct writer_reader){.number = event->number, .told = event->number, .pid = event->pid};
    memcpy(reader->name, event->name, sizeof(reader->name));
    tell_reader(writer, SHMFRAME_READER_JOINED, reader);
}

void writer_take_reader_event(struct shmframe_writer *writer,
                              const struct message_reader_event *event) {
    if (event->flags & MESSAGE_LEFT) {
        struct writer_reader *reader = find_reader(writer, event);
        if (!reader)
            return;
        tell_reader(writer, SHMFRAME_READER_LEFT, reader);
        *reader = writer->reader[--writer->reader_count];
        return;
    }
    if (!has_joined(writer, event))
        add_reader(writer, event);
}

static int send_answer(struct shmframe_writer *writer, uint32_t cookie, int status,
                       const char *text) {
    union message message;
    message_init(&message, MESSAGE_ANSWER, cookie);
    message.answer.status = status;
    if (text)
        message_put_text(message.answer.text, sizeof(message.answer.text), text);
    return session_send(writer->object.session, &message, NULL);
}

static struct writer_request *find_request(struct shmframe_writer *writer, uint32_t number) {
    for (unsigned i = 0; i < WRITER_REQUESTS_MAX; i++)
        if (writer->request[i].number == number)
            return &writer->request[i];
    return NULL;
}

void writer_take_request(struct shmframe_writer *writer, const struct message_request *request) {
    struct writer_request *place = find_request(writer, 0);
    struct shmframe_writer_event *event = place ? add_event(writer, SHMFRAME_REQUEST) : NULL;
    if (!event) {
        send_answer(writer, request->header.cookie, -EBUSY,
                    "the writer has too many unanswered requests");
        return;
    }
    if (++writer->last_request == 0)
        writer->last_request = 1;
    *place =
        (struct writer_request){.number = writer->last_request, .cookie = request->header.cookie};
    event->request = place->number;
    memcpy(event->verb, request->verb, sizeof(event->verb));
    memcpy(event->argument, request->argument, sizeof(event->argument));
}

int shmframe_writer_next_event(struct shmframe_writer *writer,
                               struct shmframe_writer_event *out_event) {
    /* Who does not publish for a while comes here, and serves readers all the same: after a
     * restart, and when as many have come and gone as there are places for links. */
    if (writer->is_threaded)
        pthread_mutex_lock(&writer->mutex);
    session_lock(writer->object.session);
    writer_read_links(writer);
    if (writer->is_resync_opened || (writer->ring && writer->ring->core.links_over > 0))
        writer_settle(writer);
    const int code = writer->event_count ? 0 : -EAGAIN;
    if (code == 0) {
        *out_event = writer->event[writer->event_first];
        writer->event_first = (writer->event_first + 1) % WRITER_EVENTS_MAX;
        writer->event_count--;
    }
    session_unlock(writer->object.session);
    if (writer->is_threaded)
        pthread_mutex_unlock(&writer->mutex);
    return code;
}

int shmframe_writer_answer(struct shmframe_writer *writer, uint32_t request, int status,
                           const char *text) {
    if (text && strlen(text) >= SHMFRAME_ARGUMENT_BYTES)
        return error_set(-EINVAL, "an answer has at most %d bytes", SHMFRAME_ARGUMENT_BYTES - 1);
    if (status > 0)
        return error_set(-EINVAL, "an answer's status is 0 or a negative errno, not %d", status);
    session_lock(writer->object.session);
    struct writer_request *place = request ? find_request(writer, request) : NULL;
    int code = place ? 0 : error_set(-EINVAL, "there is no request %u to answer", request);
    if (code == 0) {
        const uint32_t cookie = place->cookie;
        *place = (struct writer_request){0};
        code = send_answer(writer, cookie, status, text);
    }
    session_unlock(writer->object.session);
    return code;
}
