/* Demux, from inside: the thread that decodes. */
#ifndef PRODUCERS_DEMUX_THREAD_H
#define PRODUCERS_DEMUX_THREAD_H

#include "demux.h"

/* What the thread runs; `user` is the demux. */
void *demux_run(void *user);

/* Makes ready_fd readable. Any thread. */
void demux_tell_ready(const struct demux *demux);

#endif
