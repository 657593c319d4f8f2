/* Flow: frames that tell who they are, and short ways to say what most scenarios say. */
#ifndef TESTS_FAULTS_FLOW_H
#define TESTS_FAULTS_FLOW_H

#include "sweep.h"

extern char flow_socket[128]; /* the supervisor's */
extern pid_t flow_supervisor; /* goes on after a run that has stopped it */

struct shmframe_session *flow_session(void);

/* A stream of this run alone: sequences begin at 1. */
const char *flow_stream(void);

/* Data, 256 bytes a frame. */
struct shmframe_writer_params flow_writer_params(const char *stream);
struct shmframe_writer *flow_writer(struct shmframe_session *session, const char *stream);
/* In order, depth 16. */
struct shmframe_reader_params flow_reader_params(const char *stream);
struct shmframe_reader *flow_reader(struct shmframe_session *session, const char *stream);

/* Fills and checks a frame by its sequence. */
void flow_fill(struct shmframe_loan *loan, uint64_t sequence);
void flow_check(const struct shmframe_lease *lease);

/* Loans, fills and publishes; the next sequence is `*sequence` + 1, and that from then on. */
void flow_publish(struct shmframe_writer *writer, uint64_t *sequence);
/* Takes the next frame, which must be `*sequence` + 1 with nothing lost. */
void flow_take(struct shmframe_reader *reader, uint64_t *sequence);

#endif
