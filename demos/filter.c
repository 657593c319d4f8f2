/* A filter: reads pictures, writes them inverted to another stream, with the stamps of their
 * origin.
 *
 *   filter IN OUT        for example: shmframe run shmframe-pattern 'filter demo negative' \
 *                                                  'shmframe-view negative'
 */
#include <errno.h>
#include <shmframe/shmframe.h>
#include <stdio.h>

static struct shmframe_session *session;
static struct shmframe_reader *reader;
static struct shmframe_writer *writer;

/* Inverts every byte of every plane: right for 8-bit formats. */
static void invert(const struct shmframe_loan *out, const struct shmframe_lease *in) {
    for (unsigned i = 0; i < in->format->plane_count; i++) {
        const struct shmframe_plane *from = &in->format->plane[i], *to = &out->format->plane[i];
        for (uint32_t y = 0; y < from->rows; y++) {
            const uint8_t *source = shmframe_lease_plane(in, i) + (size_t)y * from->line_bytes;
            uint8_t *target = shmframe_loan_plane(out, i) + (size_t)y * to->line_bytes;
            for (uint32_t x = 0; x < from->row_bytes; x++)
                target[x] = (uint8_t)~source[x];
        }
    }
}

/* The output follows the format of the input; the first picture decides what it begins with. */
static int follow_format(const char *stream, const struct shmframe_lease *lease) {
    if (writer && shmframe_format_is_equal(shmframe_writer_format(writer), lease->format))
        return 0;
    if (writer)
        return shmframe_writer_set_format(writer, lease->format,
                                          shmframe_deadline_ns(INT64_C(1000000000)));
    const struct shmframe_writer_params params = {.stream = stream, .format = *lease->format};
    return shmframe_writer_open(session, &params, &writer);
}

static int filter_one(const char *stream) {
    struct shmframe_lease lease;
    struct shmframe_loan loan;
    int result = shmframe_reader_acquire(reader, SHMFRAME_FOREVER, &lease);
    if (result < 0)
        return result;
    result = follow_format(stream, &lease);
    if (result == 0)
        result = shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan);
    if (result == 0) {
        shmframe_loan_carry(&loan, &lease); /* capture time and origin stay those of the source */
        invert(&loan, &lease);
        result = shmframe_writer_publish(writer, &loan);
    }
    const int released = shmframe_reader_release(reader, &lease);
    return result < 0 ? result : released;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: filter IN OUT\n");
        return 2;
    }
    const struct shmframe_reader_params params = {
        .stream = argv[1], .deadline_ns = shmframe_deadline_ns(INT64_C(10000000000))};
    int result = shmframe_session_open(NULL, &session);
    if (result == 0)
        result = shmframe_reader_open(session, &params, &reader);
    while (result == 0)
        result = filter_one(argv[2]);

    if (result != -ENODATA)
        fprintf(stderr, "filter: %s\n", shmframe_last_error());
    shmframe_writer_close(writer);
    shmframe_reader_close(reader);
    shmframe_session_close(session);
    return result == -ENODATA ? 0 : 1;
}
