/* Thread: one that nobody waits for, and to which no signal is delivered: these are the loop's. */
#ifndef SERVER_THREAD_H
#define SERVER_THREAD_H

#include <stddef.h>

/* `user` is handed to `run`. Errors: -EAGAIN, -ENOMEM; then `run` is never called. */
int thread_start(void *(*run)(void *user), void *user, size_t stack_bytes);

#endif
