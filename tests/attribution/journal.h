/* Journal: what the supervisor has noted of a loss. */
#ifndef TESTS_ATTRIBUTION_JOURNAL_H
#define TESTS_ATTRIBUTION_JOURNAL_H

#include "../api/world.h"

enum { JOURNAL_LOSSES_MAX = 16 };

/* Waits until `name` has had `number` losses in `stream`, and returns the newest; there are no
 * more. */
/* All of them, oldest first, JOURNAL_LOSSES_MAX at most. */
void journal_await_losses(const char *stream, const char *name, unsigned number,
                          struct shmframe_event *out_losses);
struct shmframe_event journal_await_loss(const char *stream, const char *name, unsigned number);

#endif
