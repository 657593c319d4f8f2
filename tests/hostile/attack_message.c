/* Messages: halves, bits, texts without an end, answers that nobody asked for, and silence. */
#include "attack.h"
#include "victims.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- bytes ---- */

/* A session that is welcome, and then says this. */
static void say(const void *bytes, size_t count, enum verdict expected, int code,
                const char *what) {
    struct intruder intruder;
    attack_open(&intruder);
    intruder_send(&intruder, bytes, count, NULL, 0);
    attack_expect(&intruder, expected, code, what);
    intruder_close(&intruder);
}

static void send_halves(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on())
        for (unsigned type = MESSAGE_HELLO; type < MESSAGE_TYPES && attack_goes_on(); type++) {
            static char longer[2 * sizeof(union message)];
            const uint32_t bytes = message_bytes((enum message_type)type);
            const size_t counts[] = {1, 15, 16, bytes / 2, bytes - 1, bytes + 1, sizeof(longer)};
            message_init((union message *)longer, (enum message_type)type, 7);
            for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
                if (counts[i] != bytes)
                    say(longer, counts[i], VERDICT_CUT, -EPROTO, "a message of another size");
        }
}

static void flip_headers(struct attacker *attacker) {
    while (attack_goes_on()) {
        union message message;
        message_init(&message, MESSAGE_LIST_STREAMS, 7);
        uint8_t *bytes = (uint8_t *)&message;
        const uint64_t bit = board_roll(&attacker->random, 12 * 8); /* but the cookie */
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const bool is_version = bit / 8 == 4 || bit / 8 == 5;
        say(&message, message_bytes(MESSAGE_LIST_STREAMS), VERDICT_CUT,
            is_version ? -EPROTONOSUPPORT : -EPROTO, "a header with another bit");
    }
}

/* Every text of every message filled to its last byte. */
static void send_endless_texts(struct attacker *attacker) {
    (void)attacker;
    static const struct {
        enum message_type type;
        size_t offset, bytes;
    } texts[] = {
        {MESSAGE_REQUEST, offsetof(struct message_request, stream), SHMFRAME_NAME_BYTES},
        {MESSAGE_REQUEST, offsetof(struct message_request, verb), SHMFRAME_VERB_BYTES},
        {MESSAGE_REQUEST, offsetof(struct message_request, argument), SHMFRAME_ARGUMENT_BYTES},
        {MESSAGE_ANSWER, offsetof(struct message_answer, text), SHMFRAME_ARGUMENT_BYTES},
        {MESSAGE_LIST_READERS, offsetof(struct message_list, stream), SHMFRAME_NAME_BYTES},
        {MESSAGE_EVICT, offsetof(struct message_reader_of, stream), SHMFRAME_NAME_BYTES},
        {MESSAGE_GET_RECORD, offsetof(struct message_reader_of, stream), SHMFRAME_NAME_BYTES},
        {MESSAGE_COMMAND, offsetof(struct message_command, verb), SHMFRAME_VERB_BYTES},
        {MESSAGE_COMMAND, offsetof(struct message_command, node), SHMFRAME_NAME_BYTES},
    };
    while (attack_goes_on())
        for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]) && attack_goes_on(); i++) {
            union message message;
            message_init(&message, texts[i].type, 7);
            memset((uint8_t *)&message + texts[i].offset, 'a', texts[i].bytes);
            say(&message, message.header.bytes, VERDICT_CUT, -EPROTO, "a text that does not end");
        }
}

/* Well formed, with any numbers in it; nothing is expected but that it is answered, or cut. */
static void send_random_numbers(struct attacker *attacker) {
    static const enum message_type types[] = {
        MESSAGE_HELD_LINK,   MESSAGE_CLOSE_WRITER, MESSAGE_CLOSE_READER,
        MESSAGE_ANSWER,      MESSAGE_GET_RECORD,   MESSAGE_EVICT,
        MESSAGE_LIST_EVENTS, MESSAGE_LIST_NODES,   MESSAGE_LIST_STREAMS};
    struct intruder intruder = {.socket = -1};
    while (attack_goes_on()) {
        union message message;
        if (intruder.socket < 0)
            attack_open(&intruder);
        message_init(&message, types[board_roll(&attacker->random, 9)],
                     (uint32_t)attack_wild(attacker));
        const bool has_name =
            message.header.type == MESSAGE_GET_RECORD || message.header.type == MESSAGE_EVICT;
        const size_t begin = sizeof(message.header) + (has_name ? SHMFRAME_NAME_BYTES : 0);
        if (message.header.type != MESSAGE_ANSWER)
            attack_scribble(attacker, (uint8_t *)&message + begin, message.header.bytes - begin);
        if (message.header.type == MESSAGE_LIST_EVENTS)
            message.list_events.flags &= ~(uint32_t)MESSAGE_WAIT;
        message.header.cookie = 7;
        intruder_send_message(&intruder, &message, NULL);
        attack_count();
        if (intruder_judge(&intruder) == VERDICT_CUT)
            intruder_close(&intruder);
    }
}

/* ---- order ---- */

static void speak_out_of_turn(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        union message message;
        struct intruder intruder;
        message_init(&message, MESSAGE_HELLO, 7);
        message.hello.now_ns = shmframe_now_ns();
        say(&message, message.header.bytes, VERDICT_CUT, -EPROTO, "a second HELLO");
        for (unsigned type = MESSAGE_WELCOME; type < MESSAGE_TYPES; type++)
            if (message_fds((enum message_type)type) == 0 &&
                !message_is_from_session((enum message_type)type)) {
                message_init(&message, (enum message_type)type, 7);
                say(&message, message.header.bytes, VERDICT_CUT, -EPROTO, "an answer of its own");
            }
        if (intruder_connect(&intruder) < 0)
            attack_fail("connect", 0);
        attack_expect(&intruder, VERDICT_CUT, -EPROTO, "a question before HELLO");
        intruder_close(&intruder);
    }
}

/* ---- slowness ---- */

/* Connections that say nothing, or a byte now and then, as many as a process may have. */
static void say_little(struct attacker *attacker) {
    enum { CONNECTIONS = 60 };
    struct intruder intruder[CONNECTIONS];
    (void)attacker;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (intruder_connect(&intruder[i]) < 0)
            attack_fail("connect", 0);
    while (attack_goes_on()) {
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            if (i % 2 && intruder_send(&intruder[i], "S", 1, NULL, 0) < 0) {
                intruder_close(&intruder[i]);
                intruder_connect(&intruder[i]);
            }
            attack_count();
        }
        board_sleep(50000000);
    }
}

/* Asks, and never reads an answer. */
static void never_read(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        struct intruder intruder;
        union message message;
        const int little = 1;
        attack_open(&intruder);
        setsockopt(intruder.socket, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
        message_init(&message, MESSAGE_LIST_READERS, 7);
        strcpy(message.list.stream, "there-is-no-such");
        while (attack_goes_on()) {
            const int code = intruder_send_message(&intruder, &message, NULL);
            if (code == -EPIPE || code == -ECONNRESET)
                break; /* cut, as it should be */
            if (code == -EAGAIN)
                poll(&(struct pollfd){.fd = intruder.socket, .events = POLLOUT}, 1, 10);
            attack_count();
        }
        intruder_close(&intruder);
    }
}

/* Bytes as fast as they go. */
static void flood_with_questions(struct attacker *attacker) {
    struct intruder intruder;
    union message message;
    (void)attacker;
    attack_open(&intruder);
    message_init(&message, MESSAGE_LIST_READERS, 7);
    strcpy(message.list.stream, VICTIM_STREAM);
    while (attack_goes_on()) {
        struct channel_mail mail;
        intruder_send_message(&intruder, &message, NULL);
        while (channel_receive(intruder.socket, &mail) == 0)
            channel_close_fds(&mail);
        attack_count();
    }
}

const struct attack attacks_with_messages[] = {
    {"half-messages", "session", "cut, -EPROTO", send_halves, 0},
    {"header-bits", "session", "cut, -EPROTO", flip_headers, 0},
    {"endless-texts", "session", "cut, -EPROTO", send_endless_texts, 0},
    {"random-numbers", "session", "answered or cut", send_random_numbers, 0},
    {"out-of-turn", "session", "cut, -EPROTO", speak_out_of_turn, 0},
    {"slow-loris", "session", "cut after 2 s", say_little, 0},
    {"never-reads", "session", "cut", never_read, 0},
    {"question-flood", "session", "harmless", flood_with_questions, 0},
    {"slow-loris-uid", "stranger", "cut after 2 s", say_little, ATTACK_AS_STRANGER},
    {"question-flood-uid", "stranger", "harmless", flood_with_questions, ATTACK_AS_STRANGER},
    {NULL, NULL, NULL, NULL, 0},
};
