/* The stage of a self-test: a supervisor of its own, and programs under it, which end with it. */
#ifndef TOOLS_SELF_TEST_STAGE_H
#define TOOLS_SELF_TEST_STAGE_H

#include "folder.h"
#include "node.h"

#include <jansson.h>
#include <shmframe/shmframe.h>

struct self_test_stage {
    struct folder folder;
    struct node supervisor;
    sigset_t mask;
    struct shmframe_session *session;
};

/* Starts the supervisor and opens a session at it; a failure ends the program. */
void self_test_stage_open(struct self_test_stage *stage);
void self_test_stage_close(struct self_test_stage *stage);

/* A program that runs on it. */
struct self_test_actor {
    struct node node;
    int output; /* what it prints to standard output */
};
/* Starts it, argv[0] being its name; a failure ends the program. */
void self_test_stage_start(const struct self_test_stage *stage, struct self_test_actor *actor,
                           char *const *argv);
/* Sends `signal_number` (0: it ends by itself) and waits for its end, `timeout_ns` at most, until
 * it is killed. Returns the last line of its output as JSON, if it ended well and there is one;
 * else NULL. */
json_t *self_test_stage_end(struct self_test_actor *actor, int signal_number, int64_t timeout_ns);

#endif
