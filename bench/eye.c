#include "eye.h"

#include "program.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <xcb/xcb.h>

enum { SIDE = 4, BRIGHT = 150 };
static const int64_t look_ns = 1000000;
static const int64_t gap_max_ns = 3000000;   /* between two looks around a flash */
static const int64_t dark_min_ns = 50000000; /* before it */

struct eye {
    xcb_connection_t *connection;
    xcb_window_t root;
    int x, y;
    pthread_t thread;
    pthread_mutex_t mutex; /* what is below */
    bool is_closing;
    struct instants flashes;
    uint32_t missed;
};

/* One look: whether it is bright, and the middle of the time that it took. */
static bool look(const struct eye *eye, int64_t *out_ns) {
    const int64_t asked_ns = shmframe_now_ns();
    xcb_get_image_reply_t *reply =
        xcb_get_image_reply(eye->connection,
                            xcb_get_image(eye->connection, XCB_IMAGE_FORMAT_Z_PIXMAP, eye->root,
                                          (int16_t)eye->x, (int16_t)eye->y, SIDE, SIDE, ~0U),
                            NULL);
    *out_ns = (asked_ns + shmframe_now_ns()) / 2;
    if (!reply)
        return false;
    const bool is_bright = xcb_get_image_data_length(reply) > 0 &&
                           xcb_get_image_data(reply)[xcb_get_image_data_length(reply) / 2] > BRIGHT;
    free(reply);
    return is_bright;
}

/* The instants of the last dark look and the first bright one. */
static void note(struct eye *eye, int64_t dark_ns, int64_t bright_ns) {
    pthread_mutex_lock(&eye->mutex);
    if (bright_ns - dark_ns > gap_max_ns)
        eye->missed++;
    else if (eye->flashes.count < INSTANTS_MAX)
        eye->flashes.ns[eye->flashes.count++] = (dark_ns + bright_ns) / 2;
    pthread_mutex_unlock(&eye->mutex);
}

static bool is_closing(struct eye *eye) {
    pthread_mutex_lock(&eye->mutex);
    const bool is_so = eye->is_closing;
    pthread_mutex_unlock(&eye->mutex);
    return is_so;
}

static void *watch(void *argument) {
    struct eye *eye = argument;
    int64_t since_ns = 0, before_ns = 0; /* dark since then; the last look */
    bool was_bright = true;
    while (!is_closing(eye)) {
        int64_t now_ns;
        const bool is_bright = look(eye, &now_ns);
        if (is_bright && !was_bright && before_ns - since_ns > dark_min_ns)
            note(eye, before_ns, now_ns);
        if (!is_bright && was_bright)
            since_ns = now_ns;
        was_bright = is_bright;
        before_ns = now_ns;
        nanosleep(&(struct timespec){.tv_nsec = look_ns}, NULL);
    }
    return NULL;
}

struct eye *eye_open(const char *display, int x, int y) {
    struct eye *eye = calloc(1, sizeof(*eye));
    if (!eye)
        program_fail("no memory");
    eye->x = x;
    eye->y = y;
    eye->connection = xcb_connect(display, NULL);
    if (xcb_connection_has_error(eye->connection))
        program_fail("display \"%s\" cannot be opened", display);
    eye->root = xcb_setup_roots_iterator(xcb_get_setup(eye->connection)).data->root;
    pthread_mutex_init(&eye->mutex, NULL);
    if (pthread_create(&eye->thread, NULL, watch, eye) != 0)
        program_fail("no thread");
    /* Where this is not allowed it goes without. */
    pthread_setschedparam(eye->thread, SCHED_RR, &(struct sched_param){.sched_priority = 2});
    return eye;
}

void eye_close(struct eye *eye) {
    if (!eye)
        return;
    pthread_mutex_lock(&eye->mutex);
    eye->is_closing = true;
    pthread_mutex_unlock(&eye->mutex);
    pthread_join(eye->thread, NULL);
    pthread_mutex_destroy(&eye->mutex);
    xcb_disconnect(eye->connection);
    free(eye);
}

uint32_t eye_count(struct eye *eye) {
    pthread_mutex_lock(&eye->mutex);
    const uint32_t count = eye->flashes.count + eye->missed;
    pthread_mutex_unlock(&eye->mutex);
    return count;
}

void eye_read(struct eye *eye, struct instants *out_flashes, uint32_t *out_missed) {
    pthread_mutex_lock(&eye->mutex);
    *out_flashes = eye->flashes;
    *out_missed = eye->missed;
    pthread_mutex_unlock(&eye->mutex);
}
