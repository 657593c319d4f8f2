/* Writers for tests/view/wall.py: two streams, `left` and `right`, whose pictures are the same.
 * Each letter on standard input does something, and is repeated on standard output when it is done:
 *   l  left gets another picture
 *   r  right gets the same as left had last, as a filter would hand it on
 *   c  likewise, with one pixel changed
 *   L, R  that stream ends
 *
 * With an argument, that is the pixel format, and the pictures are black. Otherwise the pixel at x,
 * y of picture n is red 4 * x, green 5 * y, blue 20 * n. */
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 64, HEIGHT = 48, CHANGED_X = 10, CHANGED_Y = 20, CHANGE = 3 };

static struct shmframe_session *session;
static const char *pixel_format = "rgb24";
static struct shmframe_frame last; /* of left */

static void paint(const struct shmframe_loan *loan, uint64_t number) {
    const struct shmframe_plane *plane = &loan->format->plane[0];
    if (strcmp(pixel_format, "rgb24") != 0) {
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

static int write_left(struct shmframe_writer *writer) {
    struct shmframe_loan loan;
    const int result = shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan);
    if (result < 0)
        return result;
    const uint64_t number = last.sequence + 1;
    last = loan.frame;
    last.sequence = number;
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

static struct shmframe_writer *open_writer(const char *stream) {
    struct shmframe_writer_params params = {.stream = stream};
    struct shmframe_writer *writer = NULL;
    if (shmframe_format_video(&params.format, pixel_format, WIDTH, HEIGHT) < 0 ||
        shmframe_writer_open(session, &params, &writer) < 0)
        fprintf(stderr, "twins: %s\n", shmframe_last_error());
    return writer;
}

int main(int argc, char **argv) {
    if (argc > 1)
        pixel_format = argv[1];
    if (shmframe_session_open(NULL, &session) < 0)
        return 1;
    struct shmframe_writer *left = open_writer("left"), *right = open_writer("right");
    int result = left && right ? 0 : -1;
    for (int letter; result >= 0 && (letter = getchar()) != EOF;) {
        switch (letter) {
        case 'l':
            result = write_left(left);
            break;
        case 'r':
        case 'c':
            result = write_right(right, letter == 'c' ? CHANGE : 0);
            break;
        case 'L':
            result = shmframe_writer_end(left);
            break;
        case 'R':
            result = shmframe_writer_end(right);
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
