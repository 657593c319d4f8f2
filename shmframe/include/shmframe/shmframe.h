/* shmframe: audio and video frames between processes, in place. All of the API but avframe.h.
 *
 *   clock.h    instants and deadlines          format.h   what the bytes of a slot mean
 *   error.h    errno, one meaning each         frame.h    the stamps of a frame
 *   session.h  this process at the supervisor  writer.h   loan, fill, publish
 *   stats.h    lists, counters, histograms     reader.h   wait, acquire, release
 *   supervisor.h  what it noted, and its nodes
 */
#ifndef SHMFRAME_H
#define SHMFRAME_H

#include <shmframe/clock.h>
#include <shmframe/error.h>
#include <shmframe/format.h>
#include <shmframe/frame.h>
#include <shmframe/reader.h>
#include <shmframe/session.h>
#include <shmframe/stats.h>
#include <shmframe/supervisor.h>
#include <shmframe/writer.h>

SHMFRAME_BEGIN

/** Version of the library at run time, "MAJOR.MINOR.PATCH". */
SHMFRAME_API const char *shmframe_version(void);

SHMFRAME_END

#endif
