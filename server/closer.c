#include "closer.h"

#include "clock.h"
#include "error.h"
#include "limits.h"
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Memory has its turn behind the users', and counts for none of them. */
enum { MEMORY = CLOSER_USERS_MAX, TURNS, IDLE_MAX = 2, STACK_BYTES = 256 << 10 };

/* A user with something to close. Of more than there is room for, several share one. */
struct user {
    uid_t uid;
    int first, last; /* of those that wait */
    size_t waiting;
    unsigned closing;
    int64_t progress_ns; /* when one came to an end, or the first one came */
    int64_t behind_ns;   /* since when he is behind without a break; 0: he is not */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t is_filled, is_done;
    int *next; /* of each descriptor that waits: the one behind it; none waits twice */
    size_t room;
    struct user user[TURNS];
    unsigned turn; /* whose it is */
    bool is_memory_held;
    unsigned threads, idle;
    size_t pending; /* that wait or are being closed, of all */
} closer = {.mutex = PTHREAD_MUTEX_INITIALIZER,
            .is_filled = PTHREAD_COND_INITIALIZER,
            .is_done = PTHREAD_COND_INITIALIZER};

/* ---- closing ---- */

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
 * that wait ends with a signal, and while that is pending no other one begins. Also of descriptors
 * in a socket's queue, that nobody has read. */
static void close_soon(int fd, const timer_t *timer) {
    enum { PATIENCE_NS = 200000 }; /* longer than the handler takes */
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

/* ---- who is next; all with the mutex ---- */

static size_t count_pending(const struct user *user) {
    return user->waiting + user->closing;
}

static bool has_any(const struct user *user) {
    return count_pending(user) > 0;
}

static bool has_any_of_users(void) {
    return closer.pending > count_pending(&closer.user[MEMORY]);
}

static void note_behind(struct user *user) {
    if (user == &closer.user[MEMORY] || count_pending(user) < LIMIT_CLOSING_OF_USER)
        user->behind_ns = 0;
    else if (user->behind_ns == 0)
        user->behind_ns = shmframe_now_ns();
}

static struct user *find_user(uid_t uid) {
    struct user *unused = NULL;
    for (unsigned i = 0; i < CLOSER_USERS_MAX; i++) {
        struct user *user = &closer.user[i];
        if (has_any(user) && user->uid == uid)
            return user;
        if (!has_any(user) && !unused)
            unused = user;
    }
    if (!unused)
        return &closer.user[uid % CLOSER_USERS_MAX];
    *unused = (struct user){.uid = uid, .progress_ns = shmframe_now_ns()};
    return unused;
}

static struct user *choose_user(void) {
    for (unsigned i = 0; i < TURNS; i++) {
        const unsigned place = (closer.turn + i) % TURNS;
        struct user *user = &closer.user[place];
        if (user->waiting == 0 || user->closing >= CLOSER_THREADS_OF_USER ||
            (place == MEMORY && closer.is_memory_held))
            continue;
        closer.turn = place + 1;
        return user;
    }
    return NULL;
}

static void put(struct user *user, int fd) {
    if (user->waiting == 0)
        user->first = fd;
    else
        closer.next[user->last] = fd;
    user->last = fd;
    user->waiting++;
    note_behind(user);
}

static int take(struct user *user) {
    const int fd = user->first;
    user->first = closer.next[fd];
    user->waiting--;
    return fd;
}

/* NULL: there are enough who wait. */
static struct user *await_user(void) {
    struct user *user;
    while (!(user = choose_user())) {
        if (closer.idle >= IDLE_MAX)
            return NULL;
        closer.idle++;
        pthread_cond_wait(&closer.is_filled, &closer.mutex);
        closer.idle--;
    }
    return user;
}

/* ---- threads ---- */

static int add_thread(void);

static void close_one(struct user *user, const timer_t *timer) {
    const int fd = take(user);
    user->closing++;
    if (closer.idle == 0) /* this close may not come to an end */
        add_thread();
    pthread_mutex_unlock(&closer.mutex);
    close_soon(fd, timer);
    pthread_mutex_lock(&closer.mutex);
    user->closing--;
    user->progress_ns = shmframe_now_ns();
    note_behind(user);
    closer.pending--;
    if (!has_any_of_users())
        pthread_cond_signal(&closer.is_done);
}

static void *run(void *nothing) {
    (void)nothing;
    timer_t timer;
    const bool has_timer = make_timer(&timer);
    struct user *user;
    pthread_mutex_lock(&closer.mutex);
    while ((user = await_user()))
        close_one(user, has_timer ? &timer : NULL);
    closer.threads--;
    pthread_mutex_unlock(&closer.mutex);
    if (has_timer)
        timer_delete(timer);
    return NULL;
}

/* With the mutex. If there can be no more, those that there are go on. */
static int add_thread(void) {
    if (closer.threads >= CLOSER_THREADS_MAX)
        return -EAGAIN;
    const int code = thread_start(run, NULL, STACK_BYTES);
    closer.threads += code == 0;
    return code;
}

int closer_start(size_t fds) {
    /* Address space only: memory comes as it is used. */
    int *place = mmap(NULL, fds * sizeof(int), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED)
        return error_set(-errno, "no memory for %zu descriptors: %s", fds, strerror(errno));
    pthread_mutex_lock(&closer.mutex);
    const int code = add_thread();
    closer.next = code == 0 ? place : NULL;
    closer.room = fds;
    pthread_mutex_unlock(&closer.mutex);
    if (code == 0)
        return 0;
    munmap(place, fds * sizeof(int));
    return error_set(code, "no thread: %s", strerror(-code));
}

/* ---- for the loop ---- */

/* With the mutex. */
static bool can_take(int fd) {
    return closer.next && (size_t)fd < closer.room;
}

/* With the mutex. */
static void add(struct user *user, int fd) {
    put(user, fd);
    closer.pending++;
    if (closer.idle == 0)
        add_thread();
    pthread_cond_signal(&closer.is_filled);
}

void closer_close(int fd, uid_t uid) {
    pthread_mutex_lock(&closer.mutex);
    const bool is_taken = can_take(fd);
    if (is_taken)
        add(find_user(uid), fd);
    pthread_mutex_unlock(&closer.mutex);
    if (!is_taken)
        close(fd);
}

void closer_close_memory(int fd) {
    pthread_mutex_lock(&closer.mutex);
    const bool is_taken = can_take(fd);
    if (is_taken)
        add(&closer.user[MEMORY], fd);
    pthread_mutex_unlock(&closer.mutex);
    if (!is_taken)
        close(fd);
}

void closer_hold_memory(bool is_held) {
    pthread_mutex_lock(&closer.mutex);
    closer.is_memory_held = is_held;
    if (!is_held && closer.idle == 0)
        add_thread();
    pthread_cond_broadcast(&closer.is_filled);
    pthread_mutex_unlock(&closer.mutex);
}

size_t closer_count_memory(void) {
    pthread_mutex_lock(&closer.mutex);
    const size_t count = count_pending(&closer.user[MEMORY]);
    pthread_mutex_unlock(&closer.mutex);
    return count;
}

static enum closer_progress look(const struct user *user) {
    if (user->behind_ns == 0)
        return CLOSER_KEEPS_UP;
    const int64_t now_ns = shmframe_now_ns();
    const bool is_stuck = now_ns - user->progress_ns >= CLOSER_STUCK_NS ||
                          now_ns - user->behind_ns >= CLOSER_BEHIND_NS;
    return is_stuck ? CLOSER_IS_STUCK : CLOSER_IS_BEHIND;
}

enum closer_progress closer_look(uid_t uid) {
    pthread_mutex_lock(&closer.mutex);
    const enum closer_progress progress = look(find_user(uid));
    pthread_mutex_unlock(&closer.mutex);
    return progress;
}

bool closer_is_behind(void) {
    bool is_behind = false;
    pthread_mutex_lock(&closer.mutex);
    for (unsigned i = 0; i < CLOSER_USERS_MAX && !is_behind; i++)
        is_behind = closer.user[i].behind_ns != 0;
    pthread_mutex_unlock(&closer.mutex);
    return is_behind;
}

size_t closer_backlog(void) {
    size_t count = 0;
    pthread_mutex_lock(&closer.mutex);
    for (unsigned i = 0; i < TURNS; i++)
        if (look(&closer.user[i]) != CLOSER_IS_STUCK)
            count += count_pending(&closer.user[i]);
    pthread_mutex_unlock(&closer.mutex);
    return count;
}

/* Tells of the user with most of them: after him the next one is found in the same way. */
static int refuse_to_wait(void) {
    const struct user *most = closer.user;
    for (const struct user *user = most; user < closer.user + CLOSER_USERS_MAX; user++)
        if (count_pending(user) > count_pending(most))
            most = user;
    return error_set(-EBUSY,
                     "user %u has passed descriptors (%zu) that cannot be closed, as their file "
                     "system does not answer: end that file system first",
                     (unsigned)most->uid, count_pending(most));
}

int closer_await(int64_t patience_ns) {
    const struct timespec until = clock_timespec(shmframe_now_ns() + patience_ns);
    int code = 0;
    pthread_mutex_lock(&closer.mutex);
    while (has_any_of_users() && code == 0)
        code = pthread_cond_clockwait(&closer.is_done, &closer.mutex, CLOCK_MONOTONIC, &until);
    code = has_any_of_users() ? refuse_to_wait() : 0;
    pthread_mutex_unlock(&closer.mutex);
    return code;
}
