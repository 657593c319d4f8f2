/* Writers for tests/view/wall.py: two streams, `left` and `right`, whose pictures are the same.
 * Each letter on standard input does something, and is repeated on standard output when it is done:
 *   l  left gets another picture
 *   r  right gets the same as left had last, as a filter would hand it on
 *   c  likewise, with one pixel changed
 *   f  left gets another picture, stamped by the clock of the day
 *   n  left has another format from now on: black pictures of half the size, or the first one again
 *   t, T  right, left has another format: as it is, to be turned by 90 degrees
 *   L, R  that stream ends
 *   e  readers of demo.sound, somebody else's, are evicted
 *
 * With an argument, that is the pixel format, and the pictures are black; a second one is the frame
 * rate. Otherwise the pixel at x,
 * y of picture n is red 4 * x, green 5 * y, blue 20 * n. */
#include <shmframe/shmframe.h>
#include <shmframe/stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WIDTH = 64, HEIGHT = 48, CHANGED_X = 10, CHANGED_Y = 20, CHANGE = 3 };

static struct shmframe_session *session;
static const char *pixel_format = "rgb24";
static struct shmframe_format format;
static struct shmframe_frame last; /* of left */

static void paint(const struct shmframe_loan *loan, uint64_t number) {
    const struct shmframe_plane *plane = &loan->format->plane[0];
    if (strcmp(loan->format->video.pixel_format, "rgb24") != 0) {
        memset(loan->data, 0, (size_t)loan->format->slot_bytes);
        return;
    }
    for (unsigned y = 0; y < HEIGHT; y++) {
        uint8_t *pixel = shmframe_loan_plane(loan, 0) + (size_t)y * plane->line_bytes;
        for (unsigned x = 0; x < WIDTH; x++, pixel += 3) {
            pixel[0] = (uint8_t)(4 * x);
            pixel[1] = (uint8_t)(5 * y);
            pixel[2] = (uint8_t)(20 * number);
        }
    }
}

static int write_left(struct shmframe_writer *writer, int is_ahead) {
    struct shmframe_loan loan;
    const int result = shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan);
    if (result < 0)
        return result;
    const uint64_t number = last.sequence + 1;
    last = loan.frame;
    last.sequence = number;
    if (is_ahead) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        loan.frame.capture_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    }
    paint(&loan, number);
    return shmframe_writer_publish(writer, &loan);
}

static int write_right(struct shmframe_writer *writer, int change) {
    struct shmframe_loan loan;
    const int result = shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan);
    if (result < 0)
        return result;
    paint(&loan, last.sequence);
    shmframe_loan_plane(&loan,
                        0)[CHANGED_Y * loan.format->plane[0].line_bytes + 3 * CHANGED_X + 1] +=
        (uint8_t)change;
    loan.frame.flags |= SHMFRAME_HAS_ORIGIN;
    loan.frame.origin.sequence = last.sequence;
    loan.frame.origin.capture_ns = last.capture_ns;
    snprintf(loan.frame.origin.stream, sizeof(loan.frame.origin.stream), "left");
    return shmframe_writer_publish(writer, &loan);
}

static int change_left(struct shmframe_writer *writer) {
    static int is_other;
    struct shmframe_format other;
    is_other = !is_other;
    const int result = shmframe_format_video(&other, "gray", WIDTH / 2, HEIGHT / 2);
    return result < 0
               ? result
               : shmframe_writer_set_format(writer, is_other ? &other : &format, SHMFRAME_FOREVER);
}

static int turn(struct shmframe_writer *writer) {
    struct shmframe_format turned = format;
    turned.video.rotation_degrees = 90;
    return shmframe_writer_set_format(writer, &turned, SHMFRAME_FOREVER);
}

static struct shmframe_writer *open_writer(const char *stream) {
    struct shmframe_writer_params params = {.stream = stream, .format = format};
    struct shmframe_writer *writer = NULL;
    if (shmframe_writer_open(session, &params, &writer) < 0)
        fprintf(stderr, "twins: %s\n", shmframe_last_error());
    return writer;
}

static int evict_readers(void) {
    static const char stream[] = "demo.sound";
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(10000000000));
    struct shmframe_reader_info reader[8];
    const int count = shmframe_session_readers(session, stream, deadline_ns, reader, 8);
    int result = count > 0 ? 0 : -1;
    for (int i = 0; i < count && result == 0; i++)
        result = shmframe_session_evict(session, stream, reader[i].number, deadline_ns);
    return result;
}

int main(int argc, char **argv) {
    if (argc > 1)
        pixel_format = argv[1];
    if (shmframe_format_video(&format, pixel_format, WIDTH, HEIGHT) < 0)
        return 2;
    if (argc > 2)
        format.video.frame_rate = (struct shmframe_rational){(int)strtol(argv[2], NULL, 10), 1};
    if (shmframe_session_open(NULL, &session) < 0)
        return 1;
    struct shmframe_writer *left = open_writer("left"), *right = open_writer("right");
    int result = left && right ? 0 : -1;
    for (int letter; result >= 0 && (letter = getchar()) != EOF;) {
        switch (letter) {
        case 'l':
        case 'f':
            result = write_left(left, letter == 'f');
            break;
        case 'r':
        case 'c':
            result = write_right(right, letter == 'c' ? CHANGE : 0);
            break;
        case 'n':
            result = change_left(left);
            break;
        case 't':
            result = turn(right);
            break;
        case 'T':
            result = turn(left);
            break;
        case 'L':
            result = shmframe_writer_end(left);
            break;
        case 'R':
            result = shmframe_writer_end(right);
            break;
        case 'e':
            result = evict_readers();
            break;
        }
        putchar(letter);
        fflush(stdout);
    }
    if (result < 0)
        fprintf(stderr, "twins: %s\n", shmframe_last_error());
    shmframe_writer_close(left);
    shmframe_writer_close(right);
    shmframe_session_close(session);
    return result < 0;
}
