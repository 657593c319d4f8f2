/* How a consumer can be asked to do something, and tells what it finds: a stream of data of its
 * own.
 *
 * "shmframe ask NAME VERB ARGUMENT" runs one of the verbs; who reads the stream gets what is told
 * with control_tell(), one JSON object a datum, type "application/json".
 *
 * Threads: one.
 */
#ifndef CONSUMERS_CONTROL_H
#define CONSUMERS_CONTROL_H

#include "verb.h"

#include <jansson.h>
#include <stdbool.h>

enum { CONTROL_BYTES_MAX = 65536 }; /* of one object */

struct control;

/* Opens the data stream `name`; a failure, such as a name that is taken, ends the program with one
 * line. `quit` and `help` are served beside `verbs`, which is kept. NULL: asked to stop. */
struct control *control_open(struct shmframe_session *session, const char *name,
                             const struct verb *verbs, void *user);
void control_close(struct control *control);

/* Does what was asked since the last call. Returns whether a verb of the program's own was run. */
bool control_serve(struct control *control);

/* For a verb that returns VERB_LATER: the request that it runs for, never 0, and its answer, which
 * is owed once: `status` 0 or a negative errno; of `text` as much as an answer holds. */
uint32_t control_request(const struct control *control);
void control_answer(struct control *control, uint32_t request, int status, const char *text);

/* Publishes `object`, and takes it. One that is too large, or cannot be had a slot for, is left
 * out and counted. */
void control_tell(struct control *control, json_t *object);

#endif
