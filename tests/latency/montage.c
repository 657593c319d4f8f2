/* Puts a stream together from the first pictures of another one.
 *
 *   montage IN OUT "0 1 1 3 2 - 4/5"
 *
 * A number is a picture of IN, counted from the first of so many without a gap; "-" a grey one;
 * "4/5" the upper quarter of 4 and the rest of 5. OUT waits for a reader first, and for a lossless
 * one before each picture.
 */
#include <errno.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES_MAX = 256, GREY = 128 };

static struct shmframe_session *session;
static struct shmframe_format format;
static uint8_t *picture[PICTURES_MAX];
static size_t pictures;

static int64_t soon_ns(void) {
    return shmframe_deadline_ns(INT64_C(20000000000));
}

/* How many pictures of IN the script needs. */
static size_t count_pictures(const char *script) {
    size_t count = 0;
    for (const char *at = script; *at;) {
        char *end;
        const size_t number = strtoul(at, &end, 10);
        if (end == at) {
            at++;
            continue;
        }
        if (number >= count)
            count = number + 1;
        at = end;
    }
    return count;
}

static void drop_all(void) {
    while (pictures > 0)
        free(picture[--pictures]);
}

/* Only pictures in a row are of use. */
static int keep(const struct shmframe_lease *lease) {
    if (lease->lost || lease->frame.device_dropped)
        drop_all();
    format = *lease->format;
    uint8_t *copy = malloc(format.slot_bytes);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, lease->data, format.slot_bytes);
    picture[pictures++] = copy;
    return 0;
}

static int collect(const char *stream, size_t count) {
    struct shmframe_reader_params params = {
        .stream = stream, .policy = SHMFRAME_LOSSLESS, .deadline_ns = soon_ns()};
    struct shmframe_reader *reader;
    int result = shmframe_reader_open(session, &params, &reader);
    if (result == -ENOTSUP) { /* it is live */
        params.policy = SHMFRAME_IN_ORDER;
        params.depth = SHMFRAME_DEPTH_MAX;
        result = shmframe_reader_open(session, &params, &reader);
    }
    if (result < 0)
        return result;
    while (result == 0 && pictures < count) {
        struct shmframe_lease lease;
        result = shmframe_reader_acquire(reader, soon_ns(), &lease);
        if (result < 0)
            break;
        result = keep(&lease);
        shmframe_reader_release(reader, &lease);
    }
    shmframe_reader_close(reader);
    return result;
}

/* Rows of the first plane, and as much of the others, from quarter `first` on. */
static void paint(struct shmframe_loan *loan, const uint8_t *from, uint32_t first) {
    for (uint32_t i = 0; i < format.plane_count; i++) {
        const struct shmframe_plane *own = &format.plane[i], *target = &loan->format->plane[i];
        for (uint32_t row = own->rows * first / 4; row < own->rows; row++)
            memcpy(loan->data + target->offset + (size_t)row * target->line_bytes,
                   from + own->offset + (size_t)row * own->line_bytes, own->row_bytes);
    }
}

static int write_one(struct shmframe_writer *writer, const char *word) {
    struct shmframe_loan loan;
    const int result = shmframe_writer_loan(writer, soon_ns(), &loan);
    if (result < 0)
        return result;
    if (word[0] == '-') {
        memset(loan.data, GREY, loan.format->slot_bytes);
        return shmframe_writer_publish(writer, &loan);
    }
    char *end;
    paint(&loan, picture[strtoul(word, &end, 10)], 0);
    if (*end == '/')
        paint(&loan, picture[strtoul(end + 1, NULL, 10)], 1);
    return shmframe_writer_publish(writer, &loan);
}

static int write_all(const char *stream, char *script) {
    const struct shmframe_writer_params params = {.stream = stream, .format = format};
    struct shmframe_writer *writer;
    int result = shmframe_writer_open(session, &params, &writer);
    if (result < 0)
        return result;
    result = shmframe_writer_wait_readers(writer, 1, soon_ns());
    char *save;
    for (char *word = strtok_r(script, " ", &save); word && result >= 0;
         word = strtok_r(NULL, " ", &save))
        result = write_one(writer, word);
    shmframe_writer_close(writer);
    return result < 0 ? result : 0;
}

int main(int argc, char **argv) {
    if (argc != 4 || count_pictures(argv[3]) > PICTURES_MAX) {
        fprintf(stderr, "usage: montage IN OUT SCRIPT\n");
        return 2;
    }
    int result = shmframe_session_open(NULL, &session);
    if (result == 0)
        result = collect(argv[1], count_pictures(argv[3]));
    if (result == 0)
        result = write_all(argv[2], argv[3]);
    if (result < 0)
        fprintf(stderr, "montage: %s: %s\n", strerror(-result), shmframe_last_error());
    drop_all();
    shmframe_session_close(session);
    return result < 0 ? 1 : 0;
}
