/* World: waiting for what is to become so, and whether all is as it should be. */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H

#include "cast.h"
#include "diary.h"

/* Starts everybody. False: not all came. */
bool world_begin(const char *program);
/* Everybody leaves; tells of what is left behind. */
void world_finish(void);

/* ... until the seat's writer or reader is open and has had `frames` more frames. */
bool world_await_frames(unsigned seat, uint64_t frames);
bool world_await_wish_done(unsigned seat);

/* Waits until all who sit there are connected and get frames, and the supervisor knows them. */
bool world_settle(void);
/* Waits until nobody has more descriptors and mappings than at first. */
bool world_check_held(void);
/* ... until the supervisor has let go of all that a dead guest or writer had. */
bool world_await_supervisor_forgets(void);

#endif
