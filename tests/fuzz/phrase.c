#include "phrase.h"

#include "clock.h"
#include "host.h"
#include "stock.h"

#include <unistd.h>

static uint32_t number(struct input *input) {
    return (uint32_t)input_number(input);
}

/* Most often a stream that there may be. */
static void put_stream(struct input *input, char out[SHMFRAME_NAME_BYTES]) {
    const uint8_t which = input_u8(input);
    if (which < 224)
        message_put_text(out, SHMFRAME_NAME_BYTES, stock_stream(which));
    else
        input_copy(input, out, SHMFRAME_NAME_BYTES);
}

static void fill_open_ring(struct input *input, struct message_open_ring *open) {
    put_stream(input, open->stream);
    open->writer = number(input);
    open->flags = number(input);
    open->generation = number(input);
    open->loans = number(input);
    open->history = number(input);
    open->links = number(input);
    open->held = number(input);
    open->sequence = input_number(input);
}

static void fill_held_link(struct input *input, struct message_held_link *held) {
    const uint8_t holder = input_u8(input);
    held->writer = number(input);
    held->generation = number(input);
    held->entry = number(input);
    held->pid = holder & 1 ? number(input) : (uint32_t)getpid();
    held->start_time = holder & 2 ? input_number(input) : host_start_time();
    held->word = grant_word((struct grant){.serial = number(input),
                                           .depth = number(input),
                                           .leases = number(input),
                                           .is_lossless = holder & 4,
                                           .state = (enum entry_state)(holder >> 3 & 3)});
}

static void fill_open_reader(struct input *input, struct message_open_reader *open) {
    put_stream(input, open->stream);
    input_copy(input, open->name, 4);
    open->reader = number(input);
    open->policy = number(input) % 5;
    open->depth = number(input);
    open->leases = number(input);
    open->flags = number(input);
    open->generation = number(input);
    open->serial = number(input);
    open->entry = number(input);
    open->head = input_number(input);
}

static void fill_command(struct input *input, struct message_command *command) {
    static const char *const verbs[] = {"start", "stop", "restart", "reload", "upgrade", "", "x"};
    strcpy(command->verb, verbs[input_below(input, 7)]);
    input_copy(input, command->node, 3);
}

void phrase_fill(struct input *input, union message *message) {
    switch ((enum message_type)message->header.type) {
    case MESSAGE_HELLO:
        message->hello.now_ns =
            (int64_t)((uint64_t)clock_peek_ns() + input_number(input) * (SECOND_NS / 2));
        break;
    case MESSAGE_OPEN_RING:
        fill_open_ring(input, &message->open_ring);
        break;
    case MESSAGE_OFFER_LINK:
        message->offer_link.writer = number(input);
        message->offer_link.generation = number(input);
        message->offer_link.entry = number(input);
        message->offer_link.serial = number(input);
        break;
    case MESSAGE_HELD_LINK:
        fill_held_link(input, &message->held_link);
        break;
    case MESSAGE_CLOSE_WRITER:
        message->close_writer.writer = number(input);
        message->close_writer.flags = number(input);
        message->close_writer.sequence = input_number(input);
        break;
    case MESSAGE_OPEN_READER:
        fill_open_reader(input, &message->open_reader);
        break;
    case MESSAGE_HELD_RING:
        message->held_ring.reader = number(input);
        message->held_ring.generation = number(input);
        break;
    case MESSAGE_CLOSE_READER:
        message->close_reader.reader = number(input);
        break;
    case MESSAGE_REQUEST:
        put_stream(input, message->request.stream);
        input_copy(input, message->request.verb, 4);
        break;
    case MESSAGE_ANSWER:
        message->answer.status = (int32_t)number(input);
        break;
    case MESSAGE_LIST_STREAMS:
    case MESSAGE_LIST_READERS:
        put_stream(input, message->list.stream);
        break;
    case MESSAGE_GET_RECORD:
    case MESSAGE_EVICT:
        put_stream(input, message->reader_of.stream);
        message->reader_of.number = number(input);
        break;
    case MESSAGE_LIST_EVENTS:
        message->list_events.after = input_number(input);
        message->list_events.count = number(input);
        message->list_events.flags = number(input);
        break;
    case MESSAGE_COMMAND:
        fill_command(input, &message->command);
        break;
    default: /* what is not for a session to say */
        input_copy(input, (uint8_t *)message + sizeof(struct message_header), 16);
    }
}

void phrase_right_fds(const union message *message, unsigned which, int out_fds[MESSAGE_FDS_MAX]) {
    for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
        out_fds[i] = stock_fd(STOCK_WRONG, which + i);
    if (message->header.type == MESSAGE_OPEN_RING || message->header.type == MESSAGE_HELD_RING)
        out_fds[0] = stock_fd(STOCK_RING, which);
    if (message->header.type == MESSAGE_OPEN_READER)
        out_fds[0] = stock_fd(STOCK_RECORD, which);
    if (message->header.type == MESSAGE_OFFER_LINK) {
        out_fds[0] = stock_fd(STOCK_LEASE, 0);
        out_fds[1] = stock_fd(STOCK_BELL, 0);
        out_fds[2] = stock_fd(STOCK_WAKE, 0);
    }
}

void phrase_pick_fds(struct input *input, const union message *message,
                     int out_fds[MESSAGE_FDS_MAX]) {
    const uint8_t choice = input_u8(input);
    phrase_right_fds(message, choice, out_fds);
    for (unsigned i = 0; choice >= 224 && i < MESSAGE_FDS_MAX; i++) {
        const uint8_t fd = input_u8(input);
        out_fds[i] = stock_fd((enum stock_kind)(fd % STOCK_KINDS), fd / STOCK_KINDS);
    }
}
