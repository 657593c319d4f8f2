#include "desktop.h"
#include "stage.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The server. */

static void run_server(const char *screen, const char *const *arguments, int number_fd) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char fd[16];
    snprintf(fd, sizeof(fd), "%d", number_fd);
    char *argv[24] = {"Xvfb", "-displayfd", fd, "-screen", "0", (char *)screen, "-noreset"};
    int used = 7;
    while (arguments && *arguments && used < 23)
        argv[used++] = (char *)*arguments++;
    if (!freopen("/dev/null", "w", stderr))
        _exit(127);
    execvp(argv[0], argv);
    _exit(127);
}

void desktop_start(struct desktop *desktop, const char *screen, const char *const *arguments) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    *desktop = (struct desktop){.pid = fork()};
    if (desktop->pid == 0) {
        close(ends[0]);
        run_server(screen, arguments, ends[1]);
    }
    close(ends[1]);
    FILE *number = fdopen(ends[0], "r");
    int display;
    ck_assert_msg(fscanf(number, "%d", &display) == 1, "Xvfb does not start");
    fclose(number);
    snprintf(desktop->name, sizeof(desktop->name), ":%d", display);
    desktop->connection = xcb_connect(desktop->name, NULL);
    ck_assert_int_eq(xcb_connection_has_error(desktop->connection), 0);
    desktop->screen = xcb_setup_roots_iterator(xcb_get_setup(desktop->connection)).data;
}

void desktop_stop(struct desktop *desktop) {
    xcb_disconnect(desktop->connection);
    kill(desktop->pid, SIGTERM);
    ck_assert_int_eq(stage_wait_exit(desktop->pid), 0);
}

static int open_socket(int display, struct sockaddr_un *out_address) {
    *out_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out_address->sun_path, sizeof(out_address->sun_path), "/tmp/.X11-unix/X%d", display);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static bool hand_on(int from, int to) {
    char bytes[65536];
    const ssize_t got = read(from, bytes, sizeof(bytes));
    for (ssize_t done = 0; done < got;) {
        const ssize_t written = write(to, bytes + done, (size_t)(got - done));
        if (written <= 0)
            return false;
        done += written;
    }
    return got > 0;
}

static void run_proxy(int listener, int display) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sockaddr_un address;
    const int server = open_socket(display, &address);
    const int client = accept(listener, NULL, NULL);
    struct sockaddr_un own;
    socklen_t bytes = sizeof(own);
    if (getsockname(listener, (struct sockaddr *)&own, &bytes) == 0)
        unlink(own.sun_path);
    if (client < 0 || connect(server, (struct sockaddr *)&address, sizeof(address)) < 0)
        _exit(1);
    struct pollfd ends[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    while (poll(ends, 2, -1) > 0)
        for (int i = 0; i < 2; i++)
            if (ends[i].revents && !hand_on(ends[i].fd, ends[1 - i].fd))
                _exit(0);
    _exit(1);
}

pid_t desktop_start_proxy(const struct desktop *desktop, int number) {
    struct sockaddr_un address;
    const int listener = open_socket(number, &address);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    const pid_t pid = fork();
    if (pid == 0)
        run_proxy(listener, atoi(desktop->name + 1));
    close(listener);
    return pid;
}

void desktop_sync(struct desktop *desktop) {
    xcb_connection_t *connection = desktop->connection;
    free(xcb_get_input_focus_reply(connection, xcb_get_input_focus(connection), NULL));
}

/* Pixels. */

static const xcb_format_t *find_format(const struct desktop *desktop) {
    const xcb_setup_t *setup = xcb_get_setup(desktop->connection);
    const xcb_format_t *format = xcb_setup_pixmap_formats(setup);
    while (format->depth != desktop->screen->root_depth)
        format++;
    return format;
}

/* The bits of a value that show something. */
static uint32_t find_mask(const struct desktop *desktop) {
    const uint8_t depth = desktop->screen->root_depth;
    return depth == 32 ? UINT32_MAX : (UINT32_C(1) << depth) - 1;
}

struct picture picture_create(const struct desktop *desktop, uint32_t width, uint32_t height,
                              uint32_t seed) {
    struct picture picture = {width, height, calloc((size_t)width * height, sizeof(uint32_t))};
    for (uint32_t i = 0; i < width * height; i++) {
        uint32_t value = i * 2654435761u ^ seed * 40503u;
        value ^= value >> 15;
        value *= 2246822519u;
        picture.value[i] = (value ^ value >> 13) & find_mask(desktop);
    }
    return picture;
}

void picture_destroy(struct picture *picture) {
    free(picture->value);
    picture->value = NULL;
}

struct picture picture_cut(const struct picture *picture, uint32_t x, uint32_t y, uint32_t width,
                           uint32_t height) {
    struct picture part = {width, height, calloc((size_t)width * height, sizeof(uint32_t))};
    for (uint32_t row = 0; row < height; row++)
        memcpy(part.value + (size_t)row * width,
               picture->value + (size_t)(y + row) * picture->width + x, width * sizeof(uint32_t));
    return part;
}

static uint32_t read_value(const uint8_t *data, unsigned bytes) {
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)data[i] << (8 * i);
    return value;
}

bool picture_is_in(const struct desktop *desktop, const struct picture *picture,
                   const struct shmframe_lease *lease) {
    const struct shmframe_video_format *video = &lease->format->video;
    if (video->width != picture->width || video->height != picture->height)
        return false;
    const unsigned bytes = find_format(desktop)->bits_per_pixel / 8u;
    const struct shmframe_plane *plane = &lease->format->plane[0];
    ck_assert_uint_eq(plane->row_bytes, picture->width * bytes);
    for (uint32_t y = 0; y < picture->height; y++) {
        const uint8_t *row = shmframe_lease_plane(lease, 0) + (size_t)y * plane->line_bytes;
        for (uint32_t x = 0; x < picture->width; x++)
            if ((read_value(row + (size_t)x * bytes, bytes) & find_mask(desktop)) !=
                picture->value[(size_t)y * picture->width + x])
                return false;
    }
    return true;
}

struct shmframe_lease picture_await(const struct desktop *desktop, const struct picture *picture,
                                    struct shmframe_reader *reader) {
    const int64_t deadline_ns = shmframe_deadline_ns(20 * SECOND_NS);
    for (;;) {
        struct shmframe_lease lease = stage_acquire(reader);
        if (picture_is_in(desktop, picture, &lease))
            return lease;
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the picture does not come: %ux%u; %s",
                      lease.format->video.width, lease.format->video.height, stage_said());
        stage_release(reader, &lease);
    }
}

void desktop_draw(struct desktop *desktop, xcb_window_t window, const struct picture *picture,
                  int16_t x, int16_t y) {
    xcb_connection_t *connection = desktop->connection;
    const xcb_format_t *format = find_format(desktop);
    const unsigned bytes = format->bits_per_pixel / 8u;
    const size_t line = (picture->width * bytes + 3) / 4 * 4;
    uint8_t *data = calloc(picture->height, line);
    for (uint32_t row = 0; row < picture->height; row++)
        for (uint32_t column = 0; column < picture->width; column++)
            for (unsigned i = 0; i < bytes; i++)
                data[row * line + column * bytes + i] =
                    (uint8_t)(picture->value[row * picture->width + column] >> (8 * i));
    const xcb_gcontext_t context = xcb_generate_id(connection);
    xcb_create_gc(connection, context, window, 0, NULL);
    xcb_put_image(connection, XCB_IMAGE_FORMAT_Z_PIXMAP, window, context, (uint16_t)picture->width,
                  (uint16_t)picture->height, x, y, 0, format->depth,
                  (uint32_t)(line * picture->height), data);
    xcb_free_gc(connection, context);
    desktop_sync(desktop);
    free(data);
}

/* Windows. */

xcb_window_t desktop_open_window(struct desktop *desktop, xcb_window_t parent, int16_t x, int16_t y,
                                 uint16_t width, uint16_t height, const char *title) {
    xcb_connection_t *connection = desktop->connection;
    const xcb_window_t window = xcb_generate_id(connection);
    const uint32_t events = XCB_EVENT_MASK_EXPOSURE;
    xcb_create_window(connection, XCB_COPY_FROM_PARENT, window,
                      parent ? parent : desktop->screen->root, x, y, width, height, 0,
                      XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT, XCB_CW_EVENT_MASK,
                      &events);
    if (title)
        xcb_change_property(connection, XCB_PROP_MODE_REPLACE, window, XCB_ATOM_WM_NAME,
                            XCB_ATOM_STRING, 8, (uint32_t)strlen(title), title);
    xcb_map_window(connection, window);
    desktop_sync(desktop);
    return window;
}

const char *desktop_id(xcb_window_t window) {
    static char text[16];
    snprintf(text, sizeof(text), "0x%x", window);
    return text;
}

void desktop_await_event(struct desktop *desktop, uint8_t type) {
    for (bool is_there = false; !is_there;) {
        xcb_generic_event_t *event = xcb_wait_for_event(desktop->connection);
        ck_assert_ptr_nonnull(event);
        is_there = (event->response_type & 0x7f) == type;
        free(event);
    }
}

void desktop_resize(struct desktop *desktop, xcb_window_t window, uint32_t width, uint32_t height) {
    const uint32_t size[] = {width, height};
    xcb_configure_window(desktop->connection, window,
                         XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT, size);
    desktop_sync(desktop);
}

void desktop_move_pointer(struct desktop *desktop, int16_t x, int16_t y) {
    xcb_warp_pointer(desktop->connection, XCB_NONE, desktop->screen->root, 0, 0, 0, 0, x, y);
    desktop_sync(desktop);
}
