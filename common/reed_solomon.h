/* Reed-Solomon code over GF(256), of 16 bytes: any 8 wrong bytes of a word are put right, or more
 * where it is known which ones may be wrong.
 *
 * The polynomial is x^8 + x^4 + x^3 + x^2 + 1, the roots are its powers 1 to 16; a word is shorter
 * than 255 bytes, as if zeros stood before it. The method is Berlekamp's and Massey's, with the
 * erasures as its first locator, and Forney's: Blahut, Theory and Practice of Error Control Codes,
 * 1983, sections 7.5 and 9.2.
 *
 * Threads: any.
 */
#ifndef COMMON_REED_SOLOMON_H
#define COMMON_REED_SOLOMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REED_SOLOMON_BYTES = 16, REED_SOLOMON_WORD_MAX = 255 };

/* Sets the last 16 of the `bytes` bytes of a word from those before; 17 to 255. */
void reed_solomon_encode(uint8_t *word, size_t bytes);

/* Puts a word right, of whose bytes those at the `erased` places, 16 at most, are not trusted. Each
 * other wrong byte takes two of the 16, each erased one takes one. False: there is more wrong; the
 * word is left as it is. */
bool reed_solomon_correct(uint8_t *word, size_t bytes, const uint8_t *places, size_t erased);

#endif
