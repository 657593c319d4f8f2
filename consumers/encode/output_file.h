/* Bytes of a muxer into a file, or down a pipe: an AVIOContext over a descriptor of our own.
 *
 * What libavformat's own does not do: it never writes over what somebody else made meanwhile; it
 * keeps room for the container's end, so that a full disk is noticed while there still is some; it
 * does not push other programs' files out of memory; it can be cut back to the last whole piece;
 * and a pipe that nobody empties can be left.
 */
#ifndef CONSUMERS_OUTPUT_FILE_H
#define CONSUMERS_OUTPUT_FILE_H

#include <libavformat/avio.h>
#include <stdbool.h>
#include <stdint.h>

struct output_file;

/* `path` NULL: standard output. A file that exists is -EEXIST unless `is_overwriting`; a FIFO or a
 * device is written as it is. On failure fault_set(). */
int output_file_open(const char *path, bool is_overwriting, AVIOInterruptCB interrupt,
                     struct output_file **out_file);
/* 0, or what the last bytes met. Frees in any case. */
int output_file_close(struct output_file *file);

/* The same for one that came to nothing; whether there is a file to be removed. */
bool output_file_discard(struct output_file *file);

/* For AVFormatContext.pb; stays the file's. */
AVIOContext *output_file_context(struct output_file *file);

/* All that was written up to here is whole, for a player. */
void output_file_mark_whole(struct output_file *file);
/* Cuts off what came after the last mark. Nothing is written afterwards. */
void output_file_cut_back(struct output_file *file);
/* -ENOSPC, -EFBIG, -EDQUOT: with `bytes` since the last mark, as far as they are not written yet,
 * there would be no room for the container's end. */
int output_file_check_room(struct output_file *file, uint64_t bytes);
bool output_file_is_regular(const struct output_file *file);
/* What a player finds of it, whatever comes: up to the last mark. 0: nothing, or not a file. */
uint64_t output_file_whole(const struct output_file *file);

/* Whether bytes were lost. */
bool output_file_has_failed(const struct output_file *file);

/* As it is on disk. */
uint64_t output_file_bytes(const struct output_file *file);

#endif
