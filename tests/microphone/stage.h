/* What each test of the program stands on: a sound server, a supervisor, a session with it, and the
 * program, what it says and its stream. Failures are the test's. */
#ifndef TESTS_MICROPHONE_STAGE_H
#define TESTS_MICROPHONE_STAGE_H

#include "sound_server.h"

#include <check.h>
#include <jansson.h>
#include <shmframe/shmframe.h>

extern struct sound_server stage_server;
extern struct shmframe_session *stage_session;
extern char stage_said_path[96];

/* Fixture; PULSE_SOURCE is the pipe. */
void stage_set_up(void);
void stage_tear_down(void);

/* Starts `program`; what it says goes to `path`. Dies with the test. */
pid_t stage_start(const char *path, const char *program, const char *const *arguments);

#define MICROPHONE(...)                                                                            \
    stage_start(stage_said_path, getenv("SHMFRAME_MICROPHONE"),                                    \
                (const char *const[]){__VA_ARGS__, NULL})

/* Its exit code; -1: a signal ended it. */
int stage_wait_exit(pid_t pid);
/* A usage error or a failure is one line. */
void stage_expect_failure(pid_t pid, int exit_code, const char *part);

/* What the program has said. */
const char *stage_said(void);
void stage_wait_until_said(const char *part);
int stage_count_said(const char *part);
/* The stream's statistics in it, as JSON; a new reference. */
json_t *stage_read_statistics(void);
int64_t stage_read_number(const json_t *stream, const char *name);

/* In order, and as deep as can be. */
struct shmframe_reader *stage_open_reader(void);
/* The next frame, or -ENODATA. */
int stage_acquire(struct shmframe_reader *reader, struct shmframe_lease *out_lease);

/* The number of seconds that something lasts: $SOAK_SECONDS, if that is set. */
const char *stage_seconds(const char *usual);

/* Runs the cases, or those whose names $ONLY is a part of. Returns the exit code. */
int stage_run(const char *suite, const TTest *const *cases);

#endif
