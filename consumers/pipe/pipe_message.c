#include "pipe_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(void **list, size_t *max, size_t wanted, size_t item_bytes) {
    if (wanted <= *max)
        return 0;
    const size_t larger = wanted > 2 * *max ? wanted : 2 * *max;
    void *grown = reallocarray(*list, larger, item_bytes);
    if (!grown)
        return -ENOMEM;
    *list = grown;
    *max = larger;
    return 0;
}

static int add(struct pipe_message *message, struct pipe_part part) {
    struct pipe_part *last = message->parts ? &message->part[message->parts - 1] : NULL;
    const bool goes_on =
        last && (part.data ? last->data && last->data + last->bytes == part.data : !last->data);
    if (goes_on) {
        last->bytes += part.bytes;
        return 0;
    }
    if (make_room((void **)&message->part, &message->parts_max, message->parts + 1, sizeof(part)) <
        0)
        return -ENOMEM;
    message->part[message->parts++] = part;
    return 0;
}

int pipe_message_refer(struct pipe_message *message, const void *data, size_t bytes) {
    return bytes ? add(message, (struct pipe_part){.data = data, .bytes = bytes}) : 0;
}

int pipe_message_copy(struct pipe_message *message, const void *data, size_t bytes) {
    if (make_room((void **)&message->arena, &message->arena_max, message->arena_bytes + bytes, 1) <
        0)
        return -ENOMEM;
    memcpy(message->arena + message->arena_bytes, data, bytes);
    const struct pipe_part part = {.offset = message->arena_bytes, .bytes = bytes};
    message->arena_bytes += bytes;
    return bytes ? add(message, part) : 0;
}

bool pipe_message_is_sent(const struct pipe_message *message) {
    return message->next == message->parts;
}

int pipe_message_peek(const struct pipe_message *message, struct iovec *out_pieces, int max) {
    int pieces = 0;
    size_t sent = message->next_sent;
    for (size_t i = message->next; i < message->parts && pieces < max; i++, sent = 0) {
        const struct pipe_part *part = &message->part[i];
        const uint8_t *data = part->data ? part->data : message->arena + part->offset;
        out_pieces[pieces++] = (struct iovec){(uint8_t *)data + sent, part->bytes - sent};
    }
    return pieces;
}

void pipe_message_advance(struct pipe_message *message, size_t bytes) {
    while (bytes) {
        const size_t left = message->part[message->next].bytes - message->next_sent;
        if (bytes < left) {
            message->next_sent += bytes;
            return;
        }
        bytes -= left;
        message->next++;
        message->next_sent = 0;
    }
}

void pipe_message_clear(struct pipe_message *message) {
    av_frame_free(&message->frame);
    message->parts = message->arena_bytes = message->next = message->next_sent = 0;
}

void pipe_message_finish(struct pipe_message *message) {
    pipe_message_clear(message);
    free(message->part);
    free(message->arena);
    *message = (struct pipe_message){0};
}
