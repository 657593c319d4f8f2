/* Where the test build of the library and the supervisor comes at each step: what the test has
 * asked for happens there. */
#include "point.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct point *ours;
static void (*before)(void *user, struct point *point);
static void *before_user;

void point_use(struct point *point) {
    ours = point;
}

void point_call_before(void (*call)(void *user, struct point *point), void *user) {
    before = call;
    before_user = user;
}

/* A supervisor is another program: it finds its point by number. */
__attribute__((constructor)) static void find_point(void) {
    const char *number = getenv(POINT_ENVIRONMENT);
    if (!number)
        return;
    const int fd = atoi(number);
    unsetenv(POINT_ENVIRONMENT);
    struct point *point = mmap(NULL, sizeof(*point), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (point == MAP_FAILED)
        abort();
    ours = point;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void step_pass(enum step step) {
    if (!ours || atomic_load(&ours->armed) != (uint32_t)step)
        return;
    /* Once only: whoever is continued goes on. */
    if (atomic_fetch_sub(&ours->passes, 1) != 1)
        return;
    atomic_store(&ours->armed, STEP_NONE);
    if (before)
        before(before_user, ours);
    const int signal = (int)atomic_load(&ours->signal);
    atomic_store(&ours->reached_ns, now_ns());
    /* To this very thread, so that it does not go a step further. */
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
}
