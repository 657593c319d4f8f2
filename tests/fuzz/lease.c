/* Lease: what a writer meets in the pages that its readers and its supervisor write, and what a
 * supervisor meets in a reader's record and a writer's ring.
 *
 * The writer is a program's, by the public face of the library; its supervisor and all its readers
 * are the fuzzer. An input is 4 bytes of what the writer is, then steps.
 */
#include "clock.h"
#include "impostor.h"
#include "input.h"
#include "onlooker.h"
#include "writer.h"

#include <errno.h>
#include <shmframe/shmframe.h>
#include <unistd.h>

enum step {
    STEP_LOAN = 0,
    STEP_PUBLISH,
    STEP_ABANDON,
    STEP_BATCH,
    STEP_PIN,
    STEP_GRANT, /* a link is granted as it should be */
    STEP_LEASE, /* a word of a reader's page */
    STEP_NOTICE,
    STEP_MAIL,
    STEP_LISTEN, /* what programs do now and then */
    STEP_FORMAT,
    STEP_HANG_UP,
    STEP_WAIT,
    STEP_RECORD,
    STEPS,
};

enum { LOANS = 8, LINKS = 24, STEPS_MAX = 250 };

struct link {
    uint32_t entry, serial;
    struct region lease;
};

static struct shmframe_session *session;
static struct shmframe_writer *writer;
static struct shmframe_loan loan[LOANS];
static unsigned loans;
static uint64_t sequence; /* of the newest frame */
static struct link link_of[LINKS];
static unsigned links;
static struct region ring; /* as a supervisor maps it */

/* ---- the other ends ---- */

static void take_offer(const struct channel_mail *mail) {
    struct link *link = &link_of[links % LINKS];
    region_unmap(&link->lease);
    fuzz_must(region_check(mail->fd[0], REGION_LEASE, LINK_PAGE_BYTES, NULL) == 0 &&
                  region_check(mail->fd[1], REGION_SEALED, LINK_PAGE_BYTES, NULL) == 0,
              "a writer offers a link that is none");
    fuzz_must(region_map_lease(mail->fd[0], LINK_PAGE_BYTES, &link->lease) == 0, "no lease page");
    link->entry = mail->message.offer_link.entry;
    link->serial = mail->message.offer_link.serial;
    links++;
}

static void take_ring(const struct channel_mail *mail) {
    region_unmap(&ring);
    fuzz_must(region_check(mail->fd[0], REGION_SEALED, 0, NULL) == 0 &&
                  region_map(mail->fd[0], PAGE_BYTES, &ring) == 0,
              "a writer opens a ring that is none");
}

static void hear(void) {
    struct channel_mail mail;
    while (impostor_hear(&mail)) {
        fuzz_must(message_is_from_session(mail.message.header.type), "a session says what is not");
        if (mail.message.header.type == MESSAGE_OFFER_LINK)
            take_offer(&mail);
        if (mail.message.header.type == MESSAGE_OPEN_RING)
            take_ring(&mail);
        channel_close_fds(&mail);
    }
}

/* Answers the OPEN_RING that is still to come. */
static void say_opened(uint32_t generation, uint64_t of_sequence) {
    union message message;
    message_init(&message, MESSAGE_OPENED, session->next_cookie + 1);
    message.opened.writer = session->next_writer + (writer == NULL);
    message.opened.generation = generation;
    message.opened.sequence = of_sequence;
    impostor_say(&message, NULL);
}

static void bump(void) {
    struct notice_page *page = impostor_notice();
    atomic_fetch_add_explicit(&page->word, 1, memory_order_release);
}

static void grant(struct input *input) {
    const struct link *link = &link_of[input_u8(input) % LINKS];
    const uint8_t shape = input_u8(input);
    const struct grant grant = {
        .serial = link->serial,
        .depth = 1 + (shape >> 4),
        .leases = 1 + (shape & 3),
        .is_lossless = shape & 4,
        .state = (enum entry_state)(shape & 8 ? input_u8(input) & 3 : ENTRY_GRANTED)};
    if (!link->lease.base)
        return;
    atomic_store(&impostor_notice()->entry[link->entry].word, grant_word(grant));
    bump();
}

/* Any value in any word, or one that could be. */
static void write_lease(struct input *input) {
    const struct link *link = &link_of[input_u8(input) % LINKS];
    const uint8_t place = input_u8(input);
    if (!link->lease.base)
        return;
    struct lease_page *page = link->lease.base;
    const uint64_t number = input_number(input);
    if (place & 0x80)
        atomic_store(&page->lease[place % SHMFRAME_LEASES_MAX],
                     lease_word(sequence - (number & 7), (uint32_t)number >> 3 & 0xff));
    else if (place & 0x40)
        atomic_store(&page->cursor, sequence - (number & 15));
    else if (place & 0x20)
        atomic_store(&page->waiting, (uint32_t)number);
    else
        memcpy((uint8_t *)page + place % (sizeof(*page) / 8) * 8, &number, sizeof(number));
}

static void write_notice(struct input *input) {
    struct notice_page *page = impostor_notice();
    const uint8_t place = input_u8(input);
    const uint64_t number = input_number(input);
    const struct link *link = &link_of[place % LINKS];
    if (place & 0x80)
        atomic_store(&page->entry[link->entry].word,
                     (uint64_t)link->serial << 32 | (uint32_t)number);
    else if (place & 0x40)
        atomic_store(&page->mail, (uint32_t)number);
    else
        atomic_store(&page->entry[number % NOTICE_ENTRIES].word, input_u64(input));
    bump();
}

static void say(struct input *input) {
    static const enum message_type types[] = {
        MESSAGE_OPENED, MESSAGE_WANT_LINKS, MESSAGE_READER_EVENT, MESSAGE_REQUEST,
        MESSAGE_ERROR,  MESSAGE_DONE,       MESSAGE_ANSWER,       MESSAGE_WELCOME,
    };
    union message message;
    const uint8_t choice = input_u8(input);
    message_init(&message, types[choice % 8],
                 choice & 0x80 ? writer->object.cookie : (uint32_t)input_number(input));
    uint32_t words[4];
    for (unsigned i = 0; i < 4; i++)
        words[i] = (uint32_t)input_number(input);
    if (choice & 0x40)
        words[0] = writer->object.number;
    if (message.header.type == MESSAGE_WANT_LINKS)
        words[2] %= LINKS;
    const size_t room = message.header.bytes - sizeof(message.header);
    memcpy(&message.header + 1, words, room < sizeof(words) ? room : sizeof(words));
    const int none[MESSAGE_FDS_MAX] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    impostor_say(&message, none);
    atomic_fetch_add_explicit(&impostor_notice()->mail, 1, memory_order_relaxed);
    bump();
}

/* ---- the writer ---- */

static bool is_expected(int code) {
    static const int codes[] = {-EAGAIN, -ETIMEDOUT, -EINTR, -EBUSY, -ENOSPC, -ENODATA, -ESTALE};
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (code == codes[i])
            return true;
    return code >= 0;
}

static void check_loan(const struct shmframe_loan *taken) {
    const struct writer_ring *current = writer->ring;
    const uint8_t *base = current->region.base;
    fuzz_must(taken->data >= base + current->payload_offset &&
                  taken->data + taken->format->slot_bytes <= base + current->region.bytes,
              "a loan is outside of its ring");
    for (unsigned i = 0; i < loans; i++)
        fuzz_must(&loan[i] == taken || loan[i].ring != taken->ring || loan[i].slot != taken->slot,
                  "a slot is lent twice");
    fuzz_must(!ring_set_has(&current->core.kept, taken->slot), "a slot of the history is lent");
    memset(taken->data, (int)loans, taken->format->slot_bytes);
}

static int64_t pick_deadline(uint8_t choice) {
    return choice & 1 ? 1 : SHMFRAME_NOW;
}

static void lend(uint8_t choice, unsigned count) {
    struct shmframe_loan taken[LOANS];
    const unsigned room = LOANS - loans;
    if (room == 0)
        return;
    count = count < room ? count : room;
    const int code = count == 1
                         ? shmframe_writer_loan(writer, pick_deadline(choice), taken)
                         : shmframe_writer_loan_batch(writer, pick_deadline(choice), taken, count);
    fuzz_must(is_expected(code), "a loan fails as none may");
    const unsigned found = code < 0 ? 0 : count == 1 ? 1 : (unsigned)code;
    fuzz_must(found <= count, "more is lent than was asked for");
    for (unsigned i = 0; i < found; i++) {
        loan[loans++] = taken[i];
        check_loan(&loan[loans - 1]);
    }
}

static void forget_loan(unsigned which) {
    loan[which] = loan[--loans];
}

static void note_published(const struct shmframe_loan *published) {
    fuzz_must(published->frame.sequence == sequence + 1, "a frame has not the next number");
    sequence = published->frame.sequence;
}

static void publish(uint8_t choice) {
    if (loans == 0)
        return;
    const unsigned which = choice % loans;
    const int code = shmframe_writer_publish(writer, &loan[which]);
    fuzz_must(code == 0 || code == -ESTALE || code == -ENODATA, "a loan cannot be published");
    if (code == 0)
        note_published(&loan[which]);
    forget_loan(which);
}

static void publish_all(void) {
    if (loans == 0)
        return;
    const int code = shmframe_writer_publish_batch(writer, loan, loans);
    fuzz_must(code == 0 || code == -ESTALE || code == -EINVAL || code == -ENODATA,
              "loans cannot be published");
    for (unsigned i = 0; i < loans && code == 0; i++)
        note_published(&loan[i]);
    while (loans && code != 0)
        shmframe_writer_abandon(writer, &loan[--loans]);
    loans = 0;
}

static void pin(uint8_t choice) {
    static uint32_t ring_id, slot;
    if (choice & 1 && loans) {
        const struct shmframe_loan *held = &loan[choice / 2 % loans];
        if (shmframe_writer_pin(writer, held) == 0) {
            ring_id = held->ring;
            slot = held->slot;
        }
    } else {
        (void)shmframe_writer_unpin(writer, ring_id, choice & 2 ? slot : choice);
    }
}

static void listen_to(uint8_t choice) {
    struct shmframe_writer_event event;
    struct shmframe_writer_counters counters;
    switch (choice % 5) {
    case 0:
        while (shmframe_writer_next_event(writer, &event) == 0) {
            fuzz_must(memchr(event.name, '\0', sizeof(event.name)), "a name does not end");
            if (event.type == SHMFRAME_REQUEST)
                shmframe_writer_answer(writer, event.request, -choice, "no");
        }
        break;
    case 1:
        shmframe_session_dispatch(session);
        break;
    case 2:
        (void)shmframe_writer_wait_readers(writer, 1 + choice % 3, 1);
        break;
    case 3:
        shmframe_writer_counters(writer, &counters);
        (void)shmframe_writer_readers(writer);
        break;
    default:
        shmframe_writer_set_paced(writer, choice & 0x80);
    }
}

static bool make_format(uint8_t choice, struct shmframe_format *out_format) {
    switch (choice % 3) {
    case 0:
        return shmframe_format_data(out_format, "test", 1 + choice) == 0;
    case 1:
        if (shmframe_format_video(out_format, "gray", 16, 1 + choice) < 0)
            return false;
        out_format->video.frame_rate = (struct shmframe_rational){25, 1};
        return true;
    default:
        return shmframe_format_audio(out_format, "flt", 2, 48000, 48) == 0;
    }
}

static void set_format(struct input *input) {
    struct shmframe_format format;
    const uint8_t choice = input_u8(input), answer = input_u8(input);
    if (!make_format(choice, &format))
        return;
    const bool comes_back = writer->is_resync_sent && !writer->is_resync_opened;
    if (!session->is_welcome || !impostor_is_there() || comes_back)
        return; /* nobody would answer: that it waits is another test's */
    say_opened(writer->ring->generation + 1, answer & 2 ? input_number(input) : sequence);
    /* Whatever it says, the writer goes on from its own newest frame. */
    (void)shmframe_writer_set_format(writer, &format, 1);
}

/* ---- steps ---- */

static void check_writer(void) {
    const struct ring_writer *core = &writer->ring->core;
    const uint64_t tail = atomic_load(&core->ring->tail);
    fuzz_must(tail <= writer->sequence && writer->sequence == sequence, "the tail is before us");
    fuzz_must(core->history >= 1 && core->history < core->slots, "a history that does not fit");
    fuzz_must(core->active_count <= links, "more links are granted than were offered");
    fuzz_must(writer->ring->out <= writer->loans, "more is lent than may be");
    fuzz_must(core->first == 0 || sequence - tail < core->slots, "more is kept than there is");
}

static void take_step(struct input *input) {
    const uint8_t step = input_u8(input) % STEPS, choice = input_u8(input);
    switch ((enum step)step) {
    case STEP_LOAN:
        lend(choice, 1);
        break;
    case STEP_PUBLISH:
        publish(choice);
        break;
    case STEP_ABANDON:
        if (loans) {
            fuzz_must(shmframe_writer_abandon(writer, &loan[choice % loans]) == 0,
                      "a loan cannot be given back");
            forget_loan(choice % loans);
        }
        break;
    case STEP_BATCH:
        if (choice & 0x80)
            publish_all();
        else
            lend(choice, 2 + choice / 2 % 4);
        break;
    case STEP_PIN:
        pin(choice);
        break;
    case STEP_GRANT:
        grant(input);
        break;
    case STEP_LEASE:
        write_lease(input);
        break;
    case STEP_NOTICE:
        write_notice(input);
        break;
    case STEP_MAIL:
        say(input);
        break;
    case STEP_LISTEN:
        listen_to(choice);
        break;
    case STEP_FORMAT:
        set_format(input);
        break;
    case STEP_HANG_UP:
        impostor_hang_up(choice & 1);
        break;
    case STEP_WAIT:
        clock_advance((int64_t)choice * choice * 100000);
        break;
    case STEP_RECORD:
        onlooker_see_record(input);
        break;
    case STEPS:
        break;
    }
    hear();
    if (ring.base)
        onlooker_see_ring(ring.base);
    check_writer();
}

/* ---- a run ---- */

static bool open_writer(struct input *input) {
    struct shmframe_writer_params params = {.stream = "a", .group = "g", .deadline_ns = 1};
    const uint8_t shape = input_u8(input);
    if (!make_format(input_u8(input), &params.format))
        return false;
    params.loans = 1 + (shape & 3);
    params.history = 1 + (shape >> 2 & 3);
    params.flags = (shape & 0x10 ? SHMFRAME_WRITER_LIVE : 0) |
                   (shape & 0x20 ? SHMFRAME_WRITER_TELLS_DROPS : 0) |
                   (shape & 0x40 ? SHMFRAME_WRITER_THREADED : 0);
    params.ring_bytes = sizeof(struct ring) + (10 + input_u8(input) % 16) * PAGE_BYTES * 2;
    sequence = input_number(input);
    say_opened(1, sequence);
    const int code = shmframe_writer_open(session, &params, &writer);
    if (code < 0)
        return false;
    sequence = writer->sequence;
    hear();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    struct input input = {bytes, count};
    session = impostor_open();
    writer = NULL;
    loans = links = 0;
    memset(link_of, 0, sizeof(link_of));
    hear();
    if (open_writer(&input))
        for (unsigned i = 0; i < STEPS_MAX && input.left; i++)
            take_step(&input);
    while (loans)
        shmframe_writer_abandon(writer, &loan[--loans]);
    shmframe_writer_close(writer);
    for (unsigned i = 0; i < LINKS; i++)
        region_unmap(&link_of[i].lease);
    region_unmap(&ring);
    impostor_close(session);
    return 0;
}
