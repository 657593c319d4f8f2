/* shmframe-screen: the X server writes its screen, a window, or a rectangle of either where readers
 * read it.
 *
 * At a fixed rate frame n is asked for at start + n / rate, which its pts says, and is captured
 * when the server answers. A frame whose successor is due already is dropped, not made up for. On
 * change, a frame follows whenever something was drawn, or the pointer moved, 1 / rate after the
 * one before at the earliest; its pts is the time of its capture. Pauses are part of the pts: those
 * of a microphone that is paused meanwhile go on too.
 */
#include "option.h"
#include "producer.h"
#include "progress.h"
#include "screen_list.h"
#include "x_grab.h"
#include "x_window.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* Answers in a row that may be refusals although the target is as it was when they were asked. */
enum { RATE_MAX = 1000, FAILURES_MAX = 20 };

static struct {
    const char *display, *window, *area;
    struct shmframe_rational rate;
    bool is_on_change, is_without_cursor;
} options = {.rate = {60, 1}};

static const struct option_spec specs[] = {
    {"display", 'D', OPTION_TEXT, &options.display, "NAME", "the X server; default $DISPLAY"},
    {"window", 'W', OPTION_TEXT, &options.window, "ID|NAME|click",
     "a window instead of the screen: see --list, or click at it"},
    {"area", 'a', OPTION_TEXT, &options.area, "WxH+X+Y",
     "that rectangle only, of the screen or of the window"},
    {"rate", 'r', OPTION_RATIONAL, &options.rate, "RATE", "pictures a second; default 60"},
    {"on-change", 'c', OPTION_FLAG, &options.is_on_change, NULL,
     "only when something changed, at --rate at most"},
    {"no-cursor", 0, OPTION_FLAG, &options.is_without_cursor, NULL, "leave the pointer out"},
    {0},
};

static const struct program program = {
    .name = "shmframe-screen",
    .purpose = "Streams the X screen, a window or a rectangle, written by the X server in place.",
    .options = specs,
    .options2 = producer_option_specs,
    .notes = "Requests (shmframe ask NAME VERB): pause, resume, quit, help, set cursor on|off,\n"
             "set rate RATE.\n"
             "\n"
             "Examples:\n"
             "  shmframe-screen\n"
             "  shmframe-screen --window click --on-change\n"
             "  shmframe-screen --area 1280x720+320+180 --rate 30\n"
             "  shmframe ask screen set cursor off\n",
};

struct screen {
    struct producer producer;
    struct producer_stream *stream;
    struct x_display display;
    struct x_target target;
    struct x_grab grab;
    struct shmframe_format format; /* of the present ring, as it was asked for */
    struct shmframe_rational rate, wanted_rate;
    bool is_cursor_shown;
    bool is_changed; /* rate or target: the format may have changed with it */
    bool is_paced;   /* false: frame 0 of the wanted rate is due now */
    bool was_hidden;
    bool is_hiding_told;
    int64_t base_ns;        /* media time of frame 0 at this rate */
    int64_t frame;          /* number of the next one */
    int64_t looked_ns;      /* on change: when it was looked for changes last */
    struct x_cursor cursor; /* the one in the newest frame: its place and number */
    uint32_t failures;      /* in a row */
};

static bool is_rate_valid(struct shmframe_rational rate) {
    return rate.num > 0 && (int64_t)rate.num <= (int64_t)rate.den * RATE_MAX &&
           (int64_t)rate.num * RATE_MAX >= rate.den;
}

/* Requests. They are served also while a picture is under way, and so only note what is to change.
 */

static int set_cursor(struct screen *screen, const char *value) {
    const bool is_on = strcmp(value, "on") == 0;
    if (!is_on && strcmp(value, "off") != 0)
        return -EINVAL;
    if (is_on && !screen->display.has_cursor)
        return -ENOTSUP;
    screen->is_cursor_shown = is_on;
    screen->target.is_changed = true;
    return 0;
}

static int set_rate(struct screen *screen, const char *value) {
    struct shmframe_rational rate;
    const struct option_spec spec = {.name = "rate", .kind = OPTION_RATIONAL, .out = &rate};
    if (option_store(&spec, value) || !is_rate_valid(rate))
        return -EINVAL;
    screen->wanted_rate = rate;
    screen->is_changed = true;
    screen->is_paced = false;
    return 0;
}

static int run_set(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct screen *screen = user;
    char name[SHMFRAME_ARGUMENT_BYTES];
    const char *value = producer_split_setting(argument, name);
    int result = -EINVAL;
    if (value && strcmp(name, "cursor") == 0)
        result = set_cursor(screen, value);
    else if (value && strcmp(name, "rate") == 0)
        result = set_rate(screen, value);
    if (result == 0)
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%s", argument);
    else if (result == -ENOTSUP)
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "the X server has no XFIXES");
    else
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES,
                 "say cursor on, cursor off, or rate and a number from 0.001 to %d", RATE_MAX);
    return result;
}

static const struct verb verbs[] = {{"set", run_set}, {0}};

/* Time. */

static int64_t find_frame_ns(const struct screen *screen, int64_t frame) {
    return screen->base_ns +
           (int64_t)((__int128)frame * SECOND_NS * screen->rate.den / screen->rate.num);
}

static void restart_pace(struct screen *screen) {
    screen->base_ns = producer_media_ns(&screen->producer);
    screen->frame = 0;
    screen->is_paced = true;
}

/* The last frame that is due at that media time. */
static int64_t find_frame_at(const struct screen *screen, int64_t media_ns) {
    return (int64_t)((__int128)(media_ns - screen->base_ns) * screen->rate.num /
                     ((__int128)screen->rate.den * SECOND_NS));
}

static void pass_over(struct screen *screen, int64_t next) {
    if (next <= screen->frame)
        return;
    screen->stream->dropped += (uint32_t)(next - screen->frame);
    screen->frame = next;
}

/* Passes over the frames whose successor is due already. */
static void drop_frames(struct screen *screen) {
    pass_over(screen, find_frame_at(screen, producer_media_ns(&screen->producer)));
}

/* Those that the end found not taken: all that were due before --duration was over; at any other
 * end, the last one might still have been in time. */
static void drop_rest(struct screen *screen) {
    if (options.is_on_change || screen->was_hidden || !screen->is_paced ||
        producer_has_enough(&screen->producer))
        return;
    const int64_t end_ns = producer_options.duration_ns;
    if (end_ns && producer_media_ns(&screen->producer) >= end_ns)
        pass_over(screen, find_frame_at(screen, end_ns - 1) + 1);
    else
        drop_frames(screen);
}

/* The instant of the next frame, or of the next look at the pointer; SHMFRAME_FOREVER: an event has
 * to come first. */
static int64_t find_due_ns(const struct screen *screen) {
    if (screen->producer.is_paused || !screen->target.drawable)
        return SHMFRAME_FOREVER;
    if (!options.is_on_change)
        return screen->producer.start_ns + find_frame_ns(screen, screen->frame);
    if (!screen->target.is_changed && !screen->is_cursor_shown)
        return SHMFRAME_FOREVER;
    return screen->looked_ns + SECOND_NS * screen->rate.den / screen->rate.num;
}

/* Frames. */

static void describe(const struct screen *screen, struct shmframe_format *out_format) {
    x_target_describe(&screen->target, out_format);
    if (!options.is_on_change)
        out_format->video.frame_rate = screen->rate;
}

/* While the X server is waited for: requests are served, and --duration may end. */
static bool sleep_and_serve(void *user, int fd) {
    struct producer *producer = user;
    const int64_t end_ns = producer->started_ns ? producer_end_ns(producer) : SHMFRAME_FOREVER;
    const enum producer_wait wait = producer_wait_for(producer, fd, end_ns);
    return wait == PRODUCER_READY || wait == PRODUCER_ASKED;
}

/* Goes on in the format that the target has now. False: asked to stop. */
static bool follow_format(struct screen *screen) {
    struct shmframe_format format;
    describe(screen, &format);
    if (shmframe_format_is_equal(&format, &screen->format))
        return true;
    /* The library waits for x_grab_attach(), and cannot serve anything meanwhile. */
    screen->display.sleep = NULL;
    const bool is_set = producer_set_format(screen->stream, &format);
    screen->display.sleep = sleep_and_serve;
    if (!is_set)
        return false;
    screen->format = format;
    x_grab_adopt(&screen->grab);
    return true;
}

static bool has_cursor_moved(struct screen *screen) {
    struct x_cursor cursor = x_cursor_await(&screen->target, x_cursor_ask(&screen->target));
    const bool result = !x_cursor_is_same(&screen->target, &cursor, &screen->cursor);
    x_cursor_finish(&cursor);
    return result;
}

static void publish_frame(struct screen *screen, struct shmframe_loan *loan, bool is_copied) {
    struct producer_stream *stream = screen->stream;
    const struct producer *producer = &screen->producer;
    if (options.is_on_change) {
        loan->frame.pts = loan->frame.capture_ns - producer->started_ns;
    } else {
        const int64_t begin_ns = find_frame_ns(screen, screen->frame);
        loan->frame.pts = begin_ns + producer->start_ns - producer->started_ns;
        loan->frame.duration = find_frame_ns(screen, screen->frame + 1) - begin_ns;
    }
    stream->copied_why = screen->grab.copied_why;
    producer_tell_dropped(stream, loan); /* a pause may have come and gone since the loan */
    producer_publish(stream, loan, is_copied);
    if (!options.is_on_change &&
        loan->frame.publish_ns > producer->started_ns + loan->frame.pts + loan->frame.duration)
        stream->overdue++;
}

/* The frame is taken again, if there is a next time. */
static void give_back(struct screen *screen, struct shmframe_loan *loan) {
    shmframe_writer_abandon(screen->stream->writer, loan);
    screen->target.is_changed = true;
}

static void count_failure(struct screen *screen, uint8_t error) {
    screen->target.is_stale = true;
    if (++screen->failures > FAILURES_MAX)
        program_fail("display \"%s\": the X server refuses the picture: %s", screen->display.name,
                     x_display_error_name(error));
}

static void take_frame(struct screen *screen) {
    struct shmframe_loan loan;
    const int result = producer_loan(&screen->producer, screen->stream, &loan);
    if (result == -EINTR)
        return;
    if (result < 0) {
        screen->frame++;
        return;
    }
    struct x_cursor cursor = {0};
    uint8_t error;
    const enum x_grab_result taken = x_grab_take(
        &screen->grab, &screen->target, screen->is_cursor_shown ? &cursor : NULL, &loan, &error);
    x_cursor_finish(&cursor);
    screen->cursor = cursor;
    switch (taken) {
    case X_GRAB_IN_PLACE:
    case X_GRAB_COPIED:
        screen->failures = 0;
        if (screen->producer.is_paused) { /* since it was asked for */
            give_back(screen, &loan);
            break;
        }
        publish_frame(screen, &loan, taken == X_GRAB_COPIED);
        screen->frame++;
        break;
    case X_GRAB_FAILED:
        give_back(screen, &loan);
        count_failure(screen, error);
        break;
    case X_GRAB_STOPPED:
        give_back(screen, &loan);
        break;
    }
}

static void do_due(struct screen *screen) {
    if (!options.is_on_change) {
        drop_frames(screen);
        take_frame(screen);
        return;
    }
    screen->looked_ns = shmframe_now_ns();
    const bool is_news = screen->target.is_changed || has_cursor_moved(screen);
    if (is_news && !screen->producer.is_paused)
        take_frame(screen);
}

/* Takes what has happened. False: it is over. */
static bool look_at_target(struct screen *screen) {
    struct x_target *target = &screen->target;
    x_target_take_events(target);
    if (target->is_stale && !target->is_closed) {
        screen->is_changed = true;
        if (!x_target_refresh(target))
            return false;
    }
    return !target->is_closed && !x_display_is_gone(&screen->display);
}

/* Likewise, and goes on as the target and the requests want it. */
static bool follow_target(struct screen *screen) {
    if (!look_at_target(screen))
        return false;
    if (!screen->target.drawable) {
        if (!screen->is_hiding_told)
            program_warn("window 0x%x is not shown, or nothing of it: no pictures until it is",
                         screen->target.window);
        screen->is_hiding_told = true;
        screen->was_hidden = true;
        return true;
    }
    screen->rate = screen->wanted_rate;
    if (screen->is_changed && !follow_format(screen))
        return false;
    screen->stream->is_discontinuous |= screen->was_hidden;
    if (!screen->is_paced || screen->was_hidden)
        restart_pace(screen);
    screen->is_changed = screen->was_hidden = false;
    return true;
}

/* The target may end before there are readers. False: it is over. */
static bool start_screen(struct screen *screen) {
    const int fd = xcb_get_file_descriptor(screen->display.connection);
    enum producer_wait wait;
    do {
        if (!look_at_target(screen))
            return false;
        xcb_flush(screen->display.connection);
        wait = x_target_take_events(&screen->target) ? PRODUCER_READY
                                                     : producer_wait_readers(&screen->producer, fd);
    } while (wait == PRODUCER_READY || wait == PRODUCER_ASKED);
    return wait == PRODUCER_DUE && producer_start(&screen->producer);
}

static void run_screen(struct screen *screen) {
    struct producer *producer = &screen->producer;
    const int fd = xcb_get_file_descriptor(screen->display.connection);
    while (!producer_is_over(producer) && !program_is_stopping() && follow_target(screen)) {
        const int64_t due_ns = find_due_ns(screen), end_ns = producer_end_ns(producer);
        if (due_ns <= shmframe_now_ns()) {
            do_due(screen);
            continue;
        }
        xcb_flush(screen->display.connection);
        if (!x_target_take_events(&screen->target))
            producer_wait_for(producer, fd, due_ns < end_ns ? due_ns : end_ns);
    }
    drop_rest(screen);
}

/* Life. */

/* 0: the screen. */
static xcb_window_t choose_window(struct screen *screen) {
    if (!options.window)
        return 0;
    if (strcmp(options.window, "click") == 0)
        return x_window_click(&screen->display);
    return x_window_find(&screen->display, options.window);
}

static bool open_stream(struct screen *screen) {
    describe(screen, &screen->format);
    const struct shmframe_writer_params params = {
        .stream = producer_options.stream,
        .group = producer_options.group,
        .format = screen->format,
        .flags = SHMFRAME_WRITER_LIVE,
        .before_seal = x_grab_attach,
        .user = &screen->grab,
    };
    x_grab_init(&screen->grab, &screen->display);
    screen->display.sleep = NULL; /* see follow_format() */
    screen->stream = producer_add(&screen->producer, &params);
    screen->display.sleep = sleep_and_serve;
    if (screen->stream)
        x_grab_adopt(&screen->grab);
    return screen->stream;
}

static bool open_screen(struct screen *screen, const struct x_area *area) {
    const xcb_window_t window = choose_window(screen);
    if (x_display_has_ended(&screen->display) ||
        !x_target_open(&screen->target, &screen->display, window, area, options.is_on_change))
        return false;
    if (screen->display.is_xwayland && screen->target.window == screen->display.screen->root)
        program_warn("display \"%s\" is Wayland's: only X programs can be seen there; see WAYLAND "
                     "in shmframe-screen(1)",
                     screen->display.name);
    return open_stream(screen);
}

/* Says why it ended by itself. Returns the exit code. */
static int explain_end(const struct screen *screen) {
    if (x_display_is_gone(&screen->display)) {
        progress_clear();
        program_warn("display \"%s\": the X server is gone", screen->display.name);
        return EXIT_FAILED;
    }
    if (screen->target.is_closed) {
        progress_clear();
        program_warn("window 0x%x was closed", screen->target.window);
    }
    return EXIT_DONE;
}

static void check_options(struct x_area *out_area) {
    producer_check_options();
    if (!is_rate_valid(options.rate))
        program_fail_usage("--rate should be from 0.001 to %d", RATE_MAX);
    if (options.area && !x_area_parse(options.area, out_area))
        program_fail_usage("--area \"%s\" should be a size and a place such as 1280x720+0+0",
                           options.area);
}

int main(int argc, char **argv) {
    static struct screen screen;
    producer_options.stream = "screen";
    program_start(&program, argc, argv);
    struct x_area area = {0};
    check_options(&area);
    if (!producer_options.is_listing)
        program_end_on_signals(EXIT_DONE); /* the X server may let us wait */
    x_display_open(&screen.display, options.display);
    if (producer_options.is_listing) {
        const int exit_code = screen_list_print(&screen.display, producer_options.format);
        x_display_close(&screen.display);
        return exit_code;
    }
    if (!options.is_without_cursor && !screen.display.has_cursor)
        program_fail("display \"%s\": the X server has no XFIXES to tell the pointer's picture; "
                     "say --no-cursor",
                     screen.display.name);
    screen.rate = screen.wanted_rate = options.rate;
    screen.is_paced = true; /* from the start on */
    screen.is_cursor_shown = !options.is_without_cursor;
    producer_open(&screen.producer, verbs, &screen);
    screen.display.sleep = sleep_and_serve;
    screen.display.sleep_user = &screen.producer;
    if (open_screen(&screen, options.area ? &area : NULL) && start_screen(&screen))
        run_screen(&screen);
    const int explained = explain_end(&screen);
    const int exit_code = producer_finish(&screen.producer);
    x_display_close(&screen.display);
    return explained ? explained : exit_code;
}
