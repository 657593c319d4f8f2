/* Diary: what the supervisor's journal says, as the test has read it so far. */
#ifndef TESTS_CRASH_DIARY_H
#define TESTS_CRASH_DIARY_H

#include "table.h"

#include <shmframe/shmframe.h>
#include <sys/types.h>

/* Opens the test's own session at the supervisor. */
void diary_begin(void);
void diary_end(void);

/* Reads what is new. False: no supervisor answered. */
bool diary_read(void);
/* How many lines were read. */
size_t diary_lines(void);
/* What those from line `from` on say of the end of process `pid`. */
enum note diary_find(size_t from, pid_t pid);
/* Waits until they say so. NOTE_NONE: they did not in time. */
enum note diary_await(size_t from, pid_t pid);
/* Whether one of them is of a supervisor that began. */
bool diary_tells_of_takeover(size_t from);

/* Whether the writers of both streams are at this supervisor, and their readers linked; a guest
 * reads stream `guest`, "": there is none. */
bool diary_sees_all(const pid_t writers[2], const char *guest);

/* Each that has come has left, and each was told of once: waits for that, and tells of faults. */
void diary_check_balance(void);

#endif
