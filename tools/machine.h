/* Machine: short texts below a root folder: "/", or a tree that a test made up. */
#ifndef TOOLS_MACHINE_H
#define TOOLS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINE_TEXT_BYTES = 4096 };

/* Reads ROOT/PATH, its last line break taken off. False if it is not there or cannot be read: half
 * of /sys may be missing. */
bool machine_read(const char *root, const char *path, char text[MACHINE_TEXT_BYTES]);
/* Likewise; the number that it begins with. */
bool machine_read_number(const char *root, const char *path, int64_t *out_number);
/* The number behind `key` at the beginning of a line: "MemAvailable:", "full avg10=". */
bool machine_find_number(const char *text, const char *key, double *out_number);
/* The word in brackets, as /sys marks what is chosen: "always [madvise] never". False: none. */
bool machine_find_choice(const char *text, char *word, size_t word_bytes);

#endif
