#include "closer.h"

#include "error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A ring with room for every descriptor there can be: none is in it twice, so it is never full. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t is_filled;
    int *fd;
    size_t room, first, count;
    uint64_t taken; /* so far */
} closer = {.mutex = PTHREAD_MUTEX_INITIALIZER, .is_filled = PTHREAD_COND_INITIALIZER};

static int take(void) {
    pthread_mutex_lock(&closer.mutex);
    while (closer.count == 0)
        pthread_cond_wait(&closer.is_filled, &closer.mutex);
    const int fd = closer.fd[closer.first];
    closer.first = (closer.first + 1) % closer.room;
    closer.count--;
    closer.taken++;
    pthread_mutex_unlock(&closer.mutex);
    return fd;
}

static void ignore(int signal) {
    (void)signal;
}

/* A signal for this thread alone, again and again while it is armed. False: there is none, and a
 * close takes as long as it takes. */
static bool make_timer(timer_t *out_timer) {
    const struct sigaction action = {.sa_handler = ignore}; /* no SA_RESTART: it ends a wait */
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    event._sigev_un._tid = gettid();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaction(SIGRTMIN, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return timer_create(CLOCK_MONOTONIC, &event, out_timer) == 0;
}

/* Whoever sent it may have told the kernel to wait, for hours, until the other end has everything:
 * that wait ends with a signal. Also of descriptors in a socket's queue, that nobody has read. */
static void close_soon(int fd, const timer_t *timer) {
    enum { PATIENCE_NS = 5000000 };
    const struct linger linger = {.l_onoff = 0};
    const struct itimerspec armed = {{.tv_nsec = PATIENCE_NS}, {.tv_nsec = PATIENCE_NS}};
    const struct itimerspec calm = {0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)); /* fails, if it is no socket */
    if (timer)
        timer_settime(*timer, 0, &armed, NULL);
    close(fd);
    if (timer)
        timer_settime(*timer, 0, &calm, NULL);
}

static void *run(void *nothing) {
    (void)nothing;
    timer_t timer;
    const bool has_timer = make_timer(&timer);
    for (;;)
        close_soon(take(), has_timer ? &timer : NULL);
    return NULL;
}

int closer_start(size_t fds) {
    /* Address space only: memory comes as it is used. */
    int *place = mmap(NULL, fds * sizeof(int), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED)
        return error_set(-errno, "no memory for %zu descriptors: %s", fds, strerror(errno));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    pthread_t thread;
    const int code = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        munmap(place, fds * sizeof(int));
        return error_set(-code, "no thread: %s", strerror(code));
    }
    pthread_detach(thread);
    pthread_mutex_lock(&closer.mutex);
    closer.fd = place;
    closer.room = fds;
    pthread_mutex_unlock(&closer.mutex);
    return 0;
}

size_t closer_backlog(uint64_t *out_closed) {
    pthread_mutex_lock(&closer.mutex);
    const size_t count = closer.count;
    *out_closed = closer.taken;
    pthread_mutex_unlock(&closer.mutex);
    return count;
}

void closer_close(int fd) {
    pthread_mutex_lock(&closer.mutex);
    const bool is_started = closer.fd != NULL;
    if (is_started) {
        closer.fd[(closer.first + closer.count) % closer.room] = fd;
        closer.count++;
        pthread_cond_signal(&closer.is_filled);
    }
    pthread_mutex_unlock(&closer.mutex);
    if (!is_started)
        close(fd);
}
