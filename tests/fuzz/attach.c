/* Attach: what a reader meets in a ring, its bell page, its links and its supervisor's words.
 *
 * The reader is a program's, by the public face of the library; the writer, who may keep a way to
 * write all that it had sealed, and the supervisor are the fuzzer. Nothing outside of a mapping may
 * be touched (guard.c), and what a lease says must lie inside of it. An input is a ring, 3 bytes of
 * what the reader asks for, then steps.
 */
#include "clock.h"
#include "forged_ring.h"
#include "format.h"
#include "impostor.h"
#include "input.h"
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/log.h>
#include <shmframe/shmframe.h>
#include <sys/socket.h>
#include <unistd.h>

enum step {
    STEP_ACQUIRE = 0,
    STEP_BATCH,
    STEP_RELEASE,
    STEP_AWAIT,
    STEP_WRITE, /* a word of the ring or the bell page */
    STEP_NOTICE,
    STEP_LINK, /* another one */
    STEP_MAIL,
    STEP_LISTEN,
    STEP_HANG_UP,
    STEP_WAIT,
    STEPS,
};

enum { RINGS = 4, LEASES = 8, STEPS_MAX = 200, ROWS_READ = 48 };
/* Rings beyond are made, but no memory is asked for in front. */
#define WARM_BYTES_MAX (UINT64_C(4) << 20)

static struct shmframe_session *session;
static struct shmframe_reader *reader;
static struct region ring_of[RINGS], bell_of[RINGS]; /* as the writer has them */
static unsigned rings;
static struct shmframe_lease lease_of[LEASES];
static unsigned leases;

/* ---- rings ---- */

static void say_link(uint32_t generation, uint8_t grant, uint64_t bytes, const int *fds) {
    union message message;
    message_init(&message, MESSAGE_LINK, 0);
    message.link.generation = generation;
    message.link.serial = generation;
    message.link.leases = grant % 8;
    message.link.depth = 1 + (grant >> 5);
    message.link.is_lossless = grant & 8;
    message.link.flags = grant & 16 ? MESSAGE_FROM_START : 0;
    message.link.slots = bytes > WARM_BYTES_MAX ? 0 : grant;
    message.link.gone_generation = grant & 0x40 ? generation - 1 : 0;
    impostor_say(&message, fds);
}

/* A ring, and a link to it. */
static void bring_ring(struct input *input) {
    int fds[4] = {-1, -1, -1, -1}, ends[2];
    struct region lease = {0};
    uint64_t bytes = 0;
    if (rings == RINGS)
        return;
    fds[0] = forged_ring_make(input, &ring_of[rings], &bytes);
    const uint8_t grant = input_u8(input), generation = input_u8(input);
    if (fds[0] < 0)
        return;
    fuzz_must(region_create_page("lease", LINK_PAGE_BYTES, REGION_LEASE, &lease, &fds[1]) == 0 &&
                  region_create_page("bell", LINK_PAGE_BYTES, REGION_SEALED, &bell_of[rings],
                                     &fds[2]) == 0 &&
                  socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
              "no link");
    fds[3] = ends[0];
    say_link(generation < 128 ? rings + 1 : generation - 128u, grant, bytes, fds);
    rings++;
    region_unmap(&lease);
    close(ends[1]);
    for (unsigned i = 0; i < 4; i++)
        close(fds[i]);
}

/* ---- what a program does with a lease ---- */

static void read_plane(const struct shmframe_lease *lease, unsigned plane) {
    const struct shmframe_plane *shape = &lease->format->plane[plane];
    const uint8_t *first = shmframe_lease_plane(lease, plane);
    volatile uint8_t sink;
    for (uint32_t row = 0; row < shape->rows; row++) {
        if (row == ROWS_READ && shape->rows > 2 * ROWS_READ)
            row = shape->rows - ROWS_READ;
        const uint8_t *line = first + (uint64_t)row * shape->line_bytes;
        sink = line[0];
        sink = line[shape->row_bytes - 1];
    }
    sink = first[(uint64_t)(shape->rows - 1) * shape->line_bytes + shape->row_bytes - 1 +
                 SHMFRAME_TAIL_BYTES];
    (void)sink;
}

static void check_lease(const struct shmframe_lease *lease) {
    const struct link_reader *link = lease->link;
    const uint8_t *base = link->ring.base;
    fuzz_must(lease->data >= base + sizeof(struct ring) &&
                  lease->data + lease->format->slot_bytes <= base + link->ring.bytes,
              "a lease is outside of its ring");
    fuzz_must(lease->frame.sequence > 0 && lease->frame.sequence <= SEQUENCE_MAX,
              "a frame has a number that none can have");
    fuzz_must(lease->frame.bytes <= format_bytes_max(lease->format), "a frame is too long");
    fuzz_must(!(lease->frame.flags & SHMFRAME_HAS_ORIGIN) ||
                  memchr(lease->frame.origin.stream, '\0', SHMFRAME_NAME_BYTES),
              "an origin's name does not end");
    fuzz_must(lease->format->kind != SHMFRAME_AUDIO ||
                  lease->frame.samples <= lease->format->audio.samples_max,
              "a block has too many samples");
    char text[256];
    shmframe_format_describe(lease->format, text, sizeof(text));
    for (unsigned plane = 0; plane < lease->format->plane_count; plane++)
        read_plane(lease, plane);
}

static bool is_expected(int code) {
    static const int codes[] = {-EAGAIN, -ETIMEDOUT, -EINTR,   -EBUSY,           -ENODATA, -ESTALE,
                                -EPROTO, -ENOMEM,    -ENOTSUP, -EPROTONOSUPPORT, -ENOSPC};
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (code == codes[i])
            return true;
    return code >= 0;
}

/* What a supervisor refuses with is his to say; everything else is ours. */
static bool may_be_told(int code) {
    return is_expected(code) || reader->failure == code;
}

static void acquire(uint8_t choice, unsigned count) {
    struct shmframe_lease taken[LEASES];
    const unsigned room = LEASES - leases;
    const int64_t deadline_ns = choice & 1 ? 1 : SHMFRAME_NOW;
    if (room == 0)
        return;
    count = count < room ? count : room;
    const uint64_t last = reader->last;
    int found = count == 1 ? shmframe_reader_acquire(reader, deadline_ns, taken)
                           : shmframe_reader_acquire_batch(reader, deadline_ns, taken, count);
    found = count == 1 && found == 0 ? 1 : found;
    fuzz_must(found <= (int)count, "more is leased than was asked for");
    uint64_t before = last;
    for (int i = 0; i < found; i++) {
        check_lease(&taken[i]);
        fuzz_must(i == 0 || taken[i].frame.sequence > before, "frames do not come in order");
        before = taken[i].frame.sequence;
        lease_of[leases++] = taken[i];
    }
}

static void release(uint8_t choice) {
    if (leases == 0)
        return;
    const unsigned which = choice % leases;
    if (choice & 0x80)
        shmframe_reader_present(reader, &lease_of[which], clock_peek_ns() + choice);
    struct shmframe_lease lease = lease_of[which];
    const int code = shmframe_reader_release(reader, &lease);
    fuzz_must(code == 0 || code == -ESTALE, "a lease cannot be released");
    fuzz_must(shmframe_reader_release(reader, &lease) == -EINVAL, "a lease is released twice");
    lease_of[which] = lease_of[--leases];
}

static void release_all(void) {
    if (leases)
        (void)shmframe_reader_release_batch(reader, lease_of, leases);
    leases = 0;
}

static void listen_to(uint8_t choice) {
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    struct shmframe_reader_event event;
    struct shmframe_histogram histogram;
    switch (choice % 5) {
    case 0:
        while (shmframe_reader_next_event(reader, &event) == 0) {
        }
        break;
    case 1:
        shmframe_session_dispatch(session);
        break;
    case 2:
        (void)shmframe_reader_fd(reader);
        break;
    case 3:
        for (int hop = 0; hop < SHMFRAME_HOPS; hop++)
            (void)shmframe_reader_histogram(reader, (enum shmframe_hop)hop, &histogram);
        break;
    default:
        (void)shmframe_reader_flights(reader, flights, choice);
    }
}

/* ---- what others write ---- */

static void write_ring(struct input *input) {
    const uint8_t area = input_u8(input), place = input_u8(input);
    const uint64_t number = input_number(input);
    const unsigned which = area >> 6 & 1 ? rings - 1 : 0;
    struct ring *ring = ring_of[which].base;
    struct bell_page *bell = bell_of[which].base;
    const uint64_t sequence = place_sequence(atomic_load(&ring->head)) + place % 8;
    switch (area % 8) {
    case 0: /* one more frame, as it should be, or in a slot that there may not be */
        forged_ring_put(ring, atomic_load(&ring->first), sequence,
                        area & 8 ? 1 + (number & 0xff) : reader->link->geometry.slots);
        break;
    case 1:
        atomic_store(&ring->head, place_word(sequence, (uint32_t)number & 0xff));
        break;
    case 2:
        memcpy((uint8_t *)ring + place % 8 * 8, &number, sizeof(number));
        break;
    case 3:
        atomic_store(&ring->index[(sequence - place / 8) % RING_INDEX],
                     place_word(sequence - place / 8, (uint32_t)number & 0xff));
        break;
    case 4: /* the stamps of a slot, its state too */
        memcpy((uint8_t *)&ring->slot[place % FORGED_SLOTS_MAX] + number % 40 * 8, &number,
               sizeof(number));
        break;
    case 5:
        atomic_store(&ring->slot[place % FORGED_SLOTS_MAX].state, number);
        break;
    case 6:
        memcpy((uint8_t *)bell + place % (sizeof(*bell) / 8) * 8, &number, sizeof(number));
        break;
    default: /* a reader has its own copy of it */
        memcpy((uint8_t *)&ring->geometry + place * 8 % (sizeof(ring->geometry) - 8), &number,
               sizeof(number));
    }
}

static void write_notice(struct input *input) {
    struct notice_page *page = impostor_notice();
    const uint8_t choice = input_u8(input);
    const uint64_t number = input_number(input);
    if (choice & 1)
        atomic_store(&page->entry[reader->object.number].word, number);
    else
        atomic_store(&page->entry[reader->object.number].word,
                     reader_word((uint32_t)(number & 3), (enum entry_state)(choice >> 1 & 3)));
    atomic_fetch_add(&page->word, 1);
}

static void note_mail(void) {
    atomic_fetch_add_explicit(&impostor_notice()->mail, 1, memory_order_relaxed);
    atomic_fetch_add(&impostor_notice()->word, 1);
}

static void say(struct input *input) {
    static const enum message_type types[] = {MESSAGE_READER_OK, MESSAGE_ERROR,  MESSAGE_DONE,
                                              MESSAGE_LINK,      MESSAGE_RECORD, MESSAGE_STREAM,
                                              MESSAGE_WELCOME,   MESSAGE_EVENT};
    const uint8_t choice = input_u8(input);
    union message message;
    message_init(&message, types[choice % 8],
                 choice & 0x80 ? reader->object.cookie : (uint32_t)input_number(input));
    uint32_t words[4];
    for (unsigned i = 0; i < 4; i++)
        words[i] = (uint32_t)input_number(input);
    const size_t room = message.header.bytes - sizeof(message.header);
    memcpy(&message.header + 1, words, room < sizeof(words) ? room : sizeof(words));
    const int wrong[MESSAGE_FDS_MAX] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    impostor_say(&message, wrong);
    note_mail();
}

static void hear(void) {
    struct channel_mail mail;
    while (impostor_hear(&mail))
        channel_close_fds(&mail);
}

/* ---- steps ---- */

static void take_step(struct input *input) {
    const uint8_t step = input_u8(input) % STEPS, choice = input_u8(input);
    uint64_t ready;
    switch ((enum step)step) {
    case STEP_ACQUIRE:
        acquire(choice, 1);
        break;
    case STEP_BATCH:
        acquire(choice, 2 + choice / 2 % 6);
        break;
    case STEP_RELEASE:
        if (choice == 0xff)
            release_all();
        else
            release(choice);
        break;
    case STEP_AWAIT:
        fuzz_must(may_be_told(choice & 1 ? shmframe_reader_wait(reader, 1)
                                         : shmframe_readers_wait(&reader, 1, SHMFRAME_NOW, &ready)),
                  "a wait fails as none may");
        break;
    case STEP_WRITE:
        write_ring(input);
        break;
    case STEP_NOTICE:
        write_notice(input);
        break;
    case STEP_LINK:
        bring_ring(input);
        note_mail();
        break;
    case STEP_MAIL:
        say(input);
        break;
    case STEP_LISTEN:
        listen_to(choice);
        break;
    case STEP_HANG_UP:
        impostor_hang_up(choice & 1);
        break;
    case STEP_WAIT:
        clock_advance((int64_t)choice * choice * 100000);
        break;
    case STEPS:
        break;
    }
    hear();
}

/* ---- a run ---- */

static bool open_reader(struct input *input) {
    union message message;
    bring_ring(input);
    const uint8_t shape = input_u8(input);
    const struct shmframe_reader_params params = {
        .stream = "a",
        .policy = (enum shmframe_policy)(shape % 3),
        .depth = 1 + (shape >> 2 & 7),
        .leases = 1 + (shape >> 5) % SHMFRAME_LEASES_MAX,
    };
    message_init(&message, MESSAGE_READER_OK, 0);
    message.reader_ok.number = 1;
    impostor_say(&message, NULL);
    const int code = shmframe_reader_open(session, &params, &reader);
    fuzz_must(is_expected(code), "an opening fails as none may");
    return code == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    struct input input = {bytes, count};
    av_log_set_level(AV_LOG_QUIET);
    session = impostor_open();
    reader = NULL;
    rings = leases = 0;
    hear();
    if (open_reader(&input))
        for (unsigned i = 0; i < STEPS_MAX && input.left; i++)
            take_step(&input);
    if (reader)
        release_all();
    shmframe_reader_close(reader);
    for (unsigned i = 0; i < RINGS; i++) {
        region_unmap(&ring_of[i]);
        region_unmap(&bell_of[i]);
    }
    impostor_close(session);
    return 0;
}
