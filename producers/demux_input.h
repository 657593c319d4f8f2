/* Demux, from inside: its input and tracks, apart from the thread that decodes them.
 *
 * Threads: until demux_start() the opener's, afterwards the decoding thread's.
 */
#ifndef PRODUCERS_DEMUX_INPUT_H
#define PRODUCERS_DEMUX_INPUT_H

#include "demux.h"

/* Opens the input, chooses its tracks and reads until their formats are known. Errors: as
 * demux_end_opening(). */
int demux_input_open(struct demux *demux);

/* The track that a packet is of; NULL: none that is played. */
struct track *demux_input_find_track(struct demux *demux, const AVPacket *packet);

/* Goes to a position, or as near before it as the file allows. Returns what FFmpeg said. */
int demux_input_seek(struct demux *demux, int64_t position_ns);

/* The length that the file claims for what is played, where that is more than a guess; 0: none. */
int64_t demux_input_claimed_ns(const struct demux *demux);

#endif
