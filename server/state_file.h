/* A state file: what the next supervisor needs to know, in the listener's folder. Never half a
 * file: written beside its place, then put there. Not forced to disk: it outlives us, not the
 * machine, and waiting for a disk is not for the loop. */
#ifndef SERVER_STATE_FILE_H
#define SERVER_STATE_FILE_H

#include <stddef.h>
#include <stdio.h>

enum { STATE_FILE_NAME_BYTES = 256, STATE_FILE_BOOT_BYTES = 40, STATE_FILE_BYTES_MAX = 16 << 20 };

/* Closes what open_memstream() made. On success the text is the caller's to free(); otherwise there
 * is none. `file` may be NULL. Errors: -ENOMEM. */
int state_file_finish_text(FILE *file, char **text);

/* Writes NAME.new, always a new file. Errors: of openat(2), write(2), unlinkat(2); -ENAMETOOLONG.
 */
int state_file_write(int folder, const char *name, const char *text, size_t bytes);
/* Puts NAME.new in the place of NAME. Errors: of renameat(2). */
int state_file_replace(int folder, const char *name);

/* Returns the whole text, with a NUL behind it, for the caller to free(); NULL: there is none, or
 * something else is in its place, which is not waited for. */
char *state_file_read(int folder, const char *name, size_t *out_bytes);

/* Which boot of the machine this is, with NULs behind; "unknown": the kernel does not tell. */
void state_file_read_boot(char out_boot[STATE_FILE_BOOT_BYTES]);

#endif
