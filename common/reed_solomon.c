#include "reed_solomon.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

enum { CHECKS = REED_SOLOMON_BYTES, ORDER = 255, POLYNOMIAL = 0x11d };

/* Powers of the primitive element, twice round, and their exponents. */
static uint8_t power[2 * ORDER];
static uint8_t exponent[ORDER + 1];
static uint8_t generator[CHECKS]; /* without its first coefficient, which is 1 */

/* A polynomial, from the constant upwards; of the degree CHECKS at most. */
typedef uint8_t polynomial[CHECKS + 1];

static uint8_t multiply(uint8_t a, uint8_t b) {
    return a && b ? power[exponent[a] + exponent[b]] : 0;
}

/* `b` is not 0. */
static uint8_t divide(uint8_t a, uint8_t b) {
    return a ? power[exponent[a] + ORDER - exponent[b]] : 0;
}

static void make_tables(void) {
    unsigned value = 1;
    for (int i = 0; i < ORDER; i++) {
        power[i] = power[i + ORDER] = (uint8_t)value;
        exponent[value] = (uint8_t)i;
        value = value << 1 ^ (value & 0x80 ? POLYNOMIAL : 0);
    }
    /* The product of x - a^i, highest power first. */
    uint8_t product[CHECKS + 1] = {1};
    for (int i = 1; i <= CHECKS; i++)
        for (int k = i; k > 0; k--)
            product[k] ^= multiply(product[k - 1], power[i]);
    memcpy(generator, product + 1, CHECKS);
}

static void prepare(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
}

void reed_solomon_encode(uint8_t *word, size_t bytes) {
    assert(bytes > CHECKS && bytes <= REED_SOLOMON_WORD_MAX);
    prepare();
    uint8_t rest[CHECKS] = {0};
    for (size_t i = 0; i < bytes - CHECKS; i++) {
        const uint8_t factor = word[i] ^ rest[0];
        memmove(rest, rest + 1, CHECKS - 1);
        rest[CHECKS - 1] = 0;
        for (int k = 0; k < CHECKS; k++)
            rest[k] ^= multiply(factor, generator[k]);
    }
    memcpy(word + bytes - CHECKS, rest, CHECKS);
}

static uint8_t evaluate(const uint8_t *coefficients, int count, uint8_t x) {
    uint8_t sum = 0;
    for (int i = count - 1; i >= 0; i--)
        sum = multiply(sum, x) ^ coefficients[i];
    return sum;
}

/* The word's values at the roots; all zero: it is one of the code. */
static bool find_syndromes(const uint8_t *word, size_t bytes, uint8_t out_syndromes[CHECKS]) {
    uint8_t any = 0;
    for (int i = 0; i < CHECKS; i++) {
        uint8_t sum = 0;
        for (size_t k = 0; k < bytes; k++)
            sum = multiply(sum, power[i + 1]) ^ word[k];
        out_syndromes[i] = sum;
        any |= sum;
    }
    return any;
}

/* a -= factor * x * b */
static void subtract_shifted(polynomial a, const polynomial b, uint8_t factor) {
    for (int i = CHECKS; i > 0; i--)
        a[i] ^= multiply(factor, b[i - 1]);
}

static void shift(polynomial a) {
    memmove(a + 1, a, CHECKS);
    a[0] = 0;
}

/* The element that stands for the byte at `place`. */
static uint8_t find_locator(size_t bytes, size_t place) {
    return power[bytes - 1 - place];
}

/* The polynomial whose roots are the inverse locators of what is wrong: begun with what is erased,
 * and made to fit one syndrome after another. */
static void find_locators(const uint8_t syndromes[CHECKS], size_t bytes, const uint8_t *places,
                          int erased, polynomial locators) {
    memset(locators, 0, sizeof(polynomial));
    locators[0] = 1;
    for (int i = 0; i < erased; i++) {
        polynomial before;
        memcpy(before, locators, sizeof(before));
        subtract_shifted(locators, before, find_locator(bytes, places[i]));
    }
    polynomial previous;
    memcpy(previous, locators, sizeof(previous));
    int length = erased;
    for (int step = erased; step < CHECKS; step++) {
        uint8_t discrepancy = 0;
        for (int i = 0; i <= step; i++)
            discrepancy ^= multiply(locators[i], syndromes[step - i]);
        polynomial before;
        memcpy(before, locators, sizeof(before));
        if (discrepancy)
            subtract_shifted(locators, previous, discrepancy);
        if (discrepancy && 2 * length <= step + erased) {
            length = step + 1 + erased - length;
            for (int i = 0; i <= CHECKS; i++)
                previous[i] = divide(before[i], discrepancy);
        } else {
            shift(previous);
        }
    }
}

static int find_degree(const polynomial a) {
    int degree = CHECKS;
    while (degree > 0 && !a[degree])
        degree--;
    return degree;
}

/* Syndromes times locators, as far as there are syndromes. */
static void find_evaluator(const uint8_t syndromes[CHECKS], const polynomial locators,
                           uint8_t out_evaluator[CHECKS]) {
    for (int i = 0; i < CHECKS; i++) {
        out_evaluator[i] = 0;
        for (int k = 0; k <= i; k++)
            out_evaluator[i] ^= multiply(syndromes[i - k], locators[k]);
    }
}

/* The derivative: in this field even powers have none. */
static uint8_t evaluate_derivative(const polynomial a, uint8_t x) {
    uint8_t odd[CHECKS] = {0};
    for (int i = 1; i <= CHECKS; i += 2)
        odd[i - 1] = a[i];
    return evaluate(odd, CHECKS, x);
}

bool reed_solomon_correct(uint8_t *word, size_t bytes, const uint8_t *places, size_t erased) {
    assert(bytes > CHECKS && bytes <= REED_SOLOMON_WORD_MAX && erased <= CHECKS);
    prepare();
    uint8_t syndromes[CHECKS], evaluator[CHECKS], right[REED_SOLOMON_WORD_MAX];
    if (!find_syndromes(word, bytes, syndromes))
        return true;
    polynomial locators;
    find_locators(syndromes, bytes, places, (int)erased, locators);
    find_evaluator(syndromes, locators, evaluator);
    memcpy(right, word, bytes);
    int found = 0;
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t inverse = divide(1, find_locator(bytes, i));
        if (evaluate(locators, CHECKS + 1, inverse) != 0)
            continue;
        const uint8_t slope = evaluate_derivative(locators, inverse);
        if (!slope)
            return false; /* a root twice: no place is wrong twice */
        right[i] ^= divide(evaluate(evaluator, CHECKS, inverse), slope);
        found++;
    }
    if (found != find_degree(locators) || find_syndromes(right, bytes, syndromes))
        return false;
    memcpy(word, right, bytes);
    return true;
}
