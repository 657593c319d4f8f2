#include "ssim.h"

#include <errno.h>
#include <stdlib.h>

/* A window is made of four blocks of 4x4 samples; each is summed up once, and is part of four
 * windows. All sums are whole numbers below 2^53: exact as doubles. */
enum { BLOCK = 4, WINDOW_SAMPLES = 64 };

/* Sums over a row of blocks. */
struct blocks {
    double *a, *b;   /* of the samples */
    double *squares; /* of a^2 + b^2 */
    double *product; /* of a * b */
};

struct ssim {
    const struct component *a, *b;
    size_t width, blocks;
    void *column[4]; /* sums over the four rows of each column, in the order of struct blocks */
    struct blocks upper, lower;
    uint8_t *rows; /* buffers for four rows of each picture */
};

/* Sums four rows of samples up. Samples of up to 12 bits leave room for a block's squares in 32
 * bits; as factors of 16 bits they become vector code. As `columns` are parameters, it is known
 * that nothing else lies there. A slot may have bits above the depth, which `mask` cuts. */
#define DEFINE_SUM_ROWS(suffix, sample, factor, sum, bits)                                         \
    static void sum_rows_##suffix(const void *const rows[2 * BLOCK], size_t width, int mask,       \
                                  sum *restrict a, sum *restrict b, sum *restrict squares,         \
                                  sum *restrict product) {                                         \
        const sample *a0 = rows[0], *a1 = rows[1], *a2 = rows[2], *a3 = rows[3];                   \
        const sample *b0 = rows[4], *b1 = rows[5], *b2 = rows[6], *b3 = rows[7];                   \
        (void)mask;                                                                                \
        for (size_t x = 0; x < width; x++) {                                                       \
            const factor p0 = (factor)(a0[x] & (bits)), p1 = (factor)(a1[x] & (bits));             \
            const factor p2 = (factor)(a2[x] & (bits)), p3 = (factor)(a3[x] & (bits));             \
            const factor q0 = (factor)(b0[x] & (bits)), q1 = (factor)(b1[x] & (bits));             \
            const factor q2 = (factor)(b2[x] & (bits)), q3 = (factor)(b3[x] & (bits));             \
            a[x] = (sum)(p0 + p1 + p2 + p3);                                                       \
            b[x] = (sum)(q0 + q1 + q2 + q3);                                                       \
            squares[x] = (sum)(p0 * p0 + p1 * p1 + p2 * p2 + p3 * p3 + q0 * q0 + q1 * q1 +         \
                               q2 * q2 + q3 * q3);                                                 \
            product[x] = (sum)(p0 * q0 + p1 * q1 + p2 * q2 + p3 * q3);                             \
        }                                                                                          \
    }

DEFINE_SUM_ROWS(8, uint8_t, int16_t, uint32_t, UINT8_MAX)
DEFINE_SUM_ROWS(12, uint16_t, int16_t, uint32_t, mask)
DEFINE_SUM_ROWS(16, uint16_t, uint64_t, uint64_t, mask)

/* Adds the columns of each block up. */
static void fold(const struct ssim *ssim, int index, double *to) {
    if (ssim->a->depth > 12) {
        const uint64_t *column = ssim->column[index];
        for (size_t i = 0; i < ssim->blocks; i++, column += BLOCK)
            to[i] = (double)(int64_t)(column[0] + column[1] + column[2] + column[3]);
    } else {
        const uint32_t *column = ssim->column[index];
        for (size_t i = 0; i < ssim->blocks; i++, column += BLOCK)
            to[i] = (double)(int32_t)(column[0] + column[1] + column[2] + column[3]);
    }
}

static void sum_blocks(const struct ssim *ssim, int row, const struct blocks *blocks) {
    const int depth = ssim->a->depth;
    const int mask = (1 << depth) - 1;
    const void *rows[2 * BLOCK];
    for (int i = 0; i < BLOCK; i++) {
        uint8_t *buffers = ssim->rows + (ptrdiff_t)(2 * i) * COMPONENT_ROW_BYTES;
        rows[i] = component_row(ssim->a, row * BLOCK + i, buffers);
        rows[BLOCK + i] = component_row(ssim->b, row * BLOCK + i, buffers + COMPONENT_ROW_BYTES);
    }
    void *const *to = ssim->column;
    if (depth > 12)
        sum_rows_16(rows, ssim->width, mask, to[0], to[1], to[2], to[3]);
    else if (depth > 8)
        sum_rows_12(rows, ssim->width, mask, to[0], to[1], to[2], to[3]);
    else
        sum_rows_8(rows, ssim->width, mask, to[0], to[1], to[2], to[3]);
    fold(ssim, 0, blocks->a);
    fold(ssim, 1, blocks->b);
    fold(ssim, 2, blocks->squares);
    fold(ssim, 3, blocks->product);
}

static double sum_four(const double *upper, const double *lower, size_t i) {
    return upper[i] + upper[i + 1] + lower[i] + lower[i + 1];
}

/* The formula of Wang, Bovik, Sheikh and Simoncelli (2004), K1 0.01 and K2 0.03, multiplied by the
 * square of the number of samples; its constants are whole numbers here, as FFmpeg's. */
static double sum_windows(const struct ssim *ssim) {
    const double peak = (double)((1u << ssim->a->depth) - 1);
    const double c1 = (double)(int64_t)(0.01 * 0.01 * peak * peak * WINDOW_SAMPLES + 0.5);
    const double c2 =
        (double)(int64_t)(0.03 * 0.03 * peak * peak * WINDOW_SAMPLES * (WINDOW_SAMPLES - 1) + 0.5);
    const struct blocks *upper = &ssim->upper, *lower = &ssim->lower;
    double sum = 0;
    for (size_t i = 0; i + 1 < ssim->blocks; i++) {
        const double a = sum_four(upper->a, lower->a, i);
        const double b = sum_four(upper->b, lower->b, i);
        const double squares = sum_four(upper->squares, lower->squares, i);
        const double product = sum_four(upper->product, lower->product, i);
        const double variances = squares * WINDOW_SAMPLES - a * a - b * b;
        const double covariance = product * WINDOW_SAMPLES - a * b;
        sum += (2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (variances + c2));
    }
    return sum;
}

static void *allocate(struct ssim *ssim) {
    const size_t columns = ssim->width * sizeof(uint64_t);
    const size_t blocks = ssim->blocks * sizeof(double);
    uint8_t *const memory = malloc(4 * columns + 8 * blocks + 2 * BLOCK * COMPONENT_ROW_BYTES);
    if (!memory)
        return NULL;
    uint8_t *next = memory;
    for (int i = 0; i < 4; i++, next += columns)
        ssim->column[i] = next;
    double **const sums[] = {
        &ssim->upper.a, &ssim->upper.b, &ssim->upper.squares, &ssim->upper.product,
        &ssim->lower.a, &ssim->lower.b, &ssim->lower.squares, &ssim->lower.product,
    };
    for (int i = 0; i < 8; i++, next += blocks)
        *sums[i] = (double *)(void *)next;
    ssim->rows = next;
    return memory;
}

int ssim_measure(const struct component *a, const struct component *b, double *out_mean) {
    if (a->width < SSIM_SIDE_MIN || a->height < SSIM_SIDE_MIN)
        return -EINVAL;
    struct ssim ssim = {
        .a = a, .b = b, .width = (size_t)a->width, .blocks = (size_t)a->width / BLOCK};
    void *memory = allocate(&ssim);
    if (!memory)
        return -ENOMEM;
    const int rows = a->height / BLOCK;
    double sum = 0;
    sum_blocks(&ssim, 0, &ssim.lower);
    for (int row = 1; row < rows; row++) {
        const struct blocks last = ssim.upper;
        ssim.upper = ssim.lower;
        ssim.lower = last;
        sum_blocks(&ssim, row, &ssim.lower);
        sum += sum_windows(&ssim);
    }
    free(memory);
    *out_mean = sum / (double)(rows - 1) / (double)(ssim.blocks - 1);
    return 0;
}
