#include "orphan.h"
#include "option.h"
#include "program.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static struct {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t is_over_changed;
    bool is_over;
    struct shmframe_session *session; /* NULL: none is watched */
    int64_t grace_ns;
} orphan = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Sleeps for a second, or less if it is over. Returns whether it is. */
static bool sleep_for_a_second(void) {
    const int64_t end_ns = shmframe_now_ns() + SECOND_NS;
    const struct timespec end = {.tv_sec = end_ns / SECOND_NS, .tv_nsec = end_ns % SECOND_NS};
    pthread_mutex_lock(&orphan.mutex);
    int code = 0;
    while (!orphan.is_over && code == 0)
        code = pthread_cond_timedwait(&orphan.is_over_changed, &orphan.mutex, &end);
    const bool is_over = orphan.is_over;
    pthread_mutex_unlock(&orphan.mutex);
    return is_over;
}

static void *watch(void *nothing) {
    (void)nothing;
    int64_t connected_ns = shmframe_now_ns();
    while (!sleep_for_a_second()) {
        const int64_t now_ns = shmframe_now_ns();
        if (shmframe_session_is_connected(orphan.session))
            connected_ns = now_ns;
        if (now_ns - connected_ns < orphan.grace_ns)
            continue;
        program_warn("the private supervisor is gone for good, and so this ends");
        kill(getpid(), SIGTERM);
        break;
    }
    return NULL;
}

static bool read_grace(int64_t *out_ns) {
    const char *text = getenv("SHMFRAME_PRIVATE");
    const struct option_spec spec = {.kind = OPTION_POSITIVE_DURATION, .out = out_ns};
    return text && *text && !option_store(&spec, text);
}

void orphan_watch(struct shmframe_session *session) {
    if (orphan.session || !read_grace(&orphan.grace_ns))
        return;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&orphan.is_over_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    orphan.is_over = false;
    orphan.session = session;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's */
    const int code = pthread_create(&orphan.thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0)
        return;
    orphan.session = NULL;
    program_fail("no thread: %s", strerror(code));
}

void orphan_unwatch(const struct shmframe_session *session) {
    if (!session || orphan.session != session)
        return;
    pthread_mutex_lock(&orphan.mutex);
    orphan.is_over = true;
    pthread_cond_signal(&orphan.is_over_changed);
    pthread_mutex_unlock(&orphan.mutex);
    pthread_join(orphan.thread, NULL);
    pthread_cond_destroy(&orphan.is_over_changed);
    orphan.session = NULL;
}
