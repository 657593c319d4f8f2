/* Requests: from any session to a stream's writer, and the answer back. */
#include "stream.h"

#include "error.h"
#include "limits.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>

static void send_answer_error(struct client *client, uint32_t cookie, int code, const char *stream,
                              const char *reason) {
    client_refuse(client, cookie, code, "stream '%s': %s", stream, reason);
}

static struct stream_request *add_request(struct stream_writer *writer, struct client *asker,
                                          uint32_t asker_cookie) {
    struct stream_request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    struct server *server = asker->server;
    if (++server->next_request == 0) /* 0 means that no answer is expected */
        server->next_request = 1;
    *request = (struct stream_request){
        .cookie = server->next_request, .asker = asker, .asker_cookie = asker_cookie};
    TAILQ_INSERT_TAIL(&writer->requests, request, next);
    writer->request_count++;
    return request;
}

static void remove_request(struct stream_writer *writer, struct stream_request *request) {
    TAILQ_REMOVE(&writer->requests, request, next);
    writer->request_count--;
    free(request);
}

int request_ask(struct client *client, struct channel_mail *mail) {
    const struct message_request *ask = &mail->message.request;
    const uint32_t cookie = ask->header.cookie;
    const struct stream *stream = stream_find(client->server, ask->stream);
    struct stream_writer *writer = stream ? stream->writer : NULL;
    if (!stream || (!writer && stream->generation == 0)) {
        client_refuse(client, cookie, -ENOENT, "no stream '%s'; 'shmframe ls' lists what there is",
                      ask->stream);
        return 0;
    }
    if (!writer || !client_is_here(writer->client)) {
        send_answer_error(client, cookie, -EPIPE, ask->stream, "its writer is gone");
        return 0;
    }
    if (permission_check_writer(client, stream) < 0) {
        client_refuse(client, cookie, -EACCES, "%s", shmframe_last_error());
        return 0;
    }
    if (writer->request_count >= LIMIT_REQUESTS) {
        send_answer_error(client, cookie, -EBUSY, ask->stream,
                          "its writer has too many unanswered requests");
        return 0;
    }
    const struct stream_request *request = add_request(writer, client, cookie);
    if (!request) {
        send_answer_error(client, cookie, -ENOMEM, ask->stream, "the supervisor has no memory");
        return 0;
    }
    union message message = mail->message;
    message.header.cookie = request->cookie;
    message.request.writer = writer->number;
    client_send(writer->client, &message, NULL);
    return 0;
}

int request_answer(struct client *client, struct channel_mail *mail) {
    struct stream_writer *writer;
    TAILQ_FOREACH (writer, &client->writers, of_client) {
        struct stream_request *request;
        TAILQ_FOREACH (request, &writer->requests, next) {
            if (request->cookie != mail->message.header.cookie)
                continue;
            if (request->asker) {
                union message message = mail->message;
                message.header.cookie = request->asker_cookie;
                client_send(request->asker, &message, NULL);
            }
            remove_request(writer, request);
            return 0;
        }
    }
    return 0; /* an answer to what was given up meanwhile */
}

void request_fail_all(struct stream_writer *writer) {
    struct stream_request *request;
    while ((request = TAILQ_FIRST(&writer->requests))) {
        if (request->asker)
            send_answer_error(request->asker, request->asker_cookie, -EPIPE, writer->stream->name,
                              "its writer is gone");
        remove_request(writer, request);
    }
}

void request_forget_asker(struct client *client) {
    struct stream *stream;
    TAILQ_FOREACH (stream, &client->server->streams, all) {
        struct stream_request *request;
        if (stream->writer)
            TAILQ_FOREACH (request, &stream->writer->requests, next)
                if (request->asker == client)
                    request->asker = NULL;
    }
}
