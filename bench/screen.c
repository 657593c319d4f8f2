/* bench-screen: what shmframe-screen adds to having the X server write a picture.
 *
 * One process takes turns, a slice each: the producer's own path (loan, the X server's writing into
 * the slot, publish), and the floor, a bare xcb_shm_get_image() into a plain memfd. The floor is
 * taken twice: into one buffer, and into as many in turn as the stream's ring does, which leaves
 * the caches as the producer finds them.
 */
#include "producer.h"
#include "program.h"
#include "report.h"
#include "supervisor.h"
#include "x_grab.h"
#include "x_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xcb/shm.h>

enum { BUFFERS = 2, REPEATS_MAX = 1000, FRAMES_MAX = 10000 };

static struct {
    const char *display, *format;
    uint32_t size[2];
    uint32_t frames, repeats;
} options = {.format = "text", .size = {1920, 1080}, .frames = 20, .repeats = 50};

static const struct option_spec specs[] = {
    {"display", 'D', OPTION_TEXT, &options.display, "NAME",
     "an X server; default: an Xvfb of the benchmark's own"},
    {"size", 'S', OPTION_SIZE, options.size, "WxH", "of that Xvfb; default 1920x1080"},
    {"frames", 'n', OPTION_COUNT, &options.frames, "COUNT", "pictures in a slice; default 20"},
    {"repeats", 'r', OPTION_COUNT, &options.repeats, "COUNT", "slices of each; default 50"},
    {"format", 0, OPTION_TEXT, &options.format, "text|json", "how to print the figures"},
    {0},
};
static const struct program program = {
    .name = "bench-screen",
    .purpose = "Time per captured picture, beside a bare request to the X server.",
    .options = specs,
};

/* Lanes. */

struct lane {
    const char *name;
    void (*take)(struct lane *lane);
    uint32_t buffers; /* floor */
    uint32_t next;
    int64_t *sample_ns; /* frames * repeats */
    uint32_t samples;
};

static struct floor {
    xcb_connection_t *connection;
    xcb_window_t root;
    xcb_shm_seg_t segment;
    uint16_t width, height;
    uint32_t bytes; /* of a buffer */
} bare;

static void open_floor(const struct shmframe_format *format) {
    bare.connection = xcb_connect(options.display, NULL);
    if (xcb_connection_has_error(bare.connection))
        program_fail("display \"%s\": no second connection", options.display);
    bare.root = xcb_setup_roots_iterator(xcb_get_setup(bare.connection)).data->root;
    bare.width = (uint16_t)format->video.width;
    bare.height = (uint16_t)format->video.height;
    bare.bytes = (uint32_t)((format->slot_bytes + 4095) & ~UINT64_C(4095));
    const int fd = memfd_create("bench-screen", MFD_CLOEXEC);
    const size_t bytes = (size_t)bare.bytes * BUFFERS;
    void *memory = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        program_fail("no memory for the floor: %m");
    bare.segment = xcb_generate_id(bare.connection);
    xcb_generic_error_t *error = xcb_request_check(
        bare.connection, xcb_shm_attach_fd_checked(bare.connection, bare.segment, fd, false));
    if (error)
        program_fail("display \"%s\" does not take descriptors", options.display);
}

static void take_floor(struct lane *lane) {
    const uint32_t offset = bare.bytes * (lane->next++ % lane->buffers);
    xcb_shm_get_image_reply_t *reply = xcb_shm_get_image_reply(
        bare.connection,
        xcb_shm_get_image(bare.connection, bare.root, 0, 0, bare.width, bare.height, ~UINT32_C(0),
                          XCB_IMAGE_FORMAT_Z_PIXMAP, bare.segment, offset),
        NULL);
    if (!reply)
        program_fail("display \"%s\" gives no picture", options.display);
    free(reply);
}

static struct capture {
    struct producer producer;
    struct producer_stream *stream;
    struct x_display display;
    struct x_target target;
    struct x_grab grab;
    uint32_t slots_seen; /* by number, as bits */
} capture;

static void open_capture(void) {
    producer_options.stream = producer_options.group = "bench-screen";
    x_display_open(&capture.display, options.display);
    producer_open(&capture.producer, NULL, NULL);
    if (!x_target_open(&capture.target, &capture.display, 0, NULL, false))
        program_fail("display \"%s\": the X server is gone", capture.display.name);
    x_grab_init(&capture.grab, &capture.display);
    struct shmframe_writer_params params = {
        .stream = producer_options.stream,
        .group = producer_options.group,
        .flags = SHMFRAME_WRITER_LIVE,
        .before_seal = x_grab_attach,
        .user = &capture.grab,
    };
    x_target_describe(&capture.target, &params.format);
    capture.stream = producer_add(&capture.producer, &params);
    if (!capture.stream || !producer_start(&capture.producer))
        exit(EXIT_DONE);
    x_grab_adopt(&capture.grab);
    open_floor(&params.format);
}

static void take_capture(struct lane *lane) {
    (void)lane;
    struct shmframe_loan loan;
    if (producer_loan(&capture.producer, capture.stream, &loan) < 0)
        program_fail("no slot");
    uint8_t error;
    if (x_grab_take(&capture.grab, &capture.target, NULL, &loan, &error) != X_GRAB_IN_PLACE)
        program_fail("display \"%s\" does not write in place", options.display);
    capture.slots_seen |= UINT32_C(1) << loan.slot % 32;
    producer_publish(capture.stream, &loan, false);
}

static struct lane lanes[] = {
    {.name = "floor", .take = take_floor, .buffers = 1},
    {.name = "floor in turn", .take = take_floor, .buffers = BUFFERS},
    {.name = "shmframe-screen", .take = take_capture},
};
enum { LANES = sizeof(lanes) / sizeof(lanes[0]) };

static void run_slice(struct lane *lane) {
    for (uint32_t i = 0; i < options.frames; i++) {
        const int64_t start_ns = shmframe_now_ns();
        lane->take(lane);
        lane->sample_ns[lane->samples++] = shmframe_now_ns() - start_ns;
    }
}

/* The first slices of each warm memory and caches up, and are forgotten. In each repetition another
 * lane begins. */
static void run_lanes(void) {
    for (int i = 0; i < LANES; i++) {
        run_slice(&lanes[i]);
        lanes[i].samples = 0;
    }
    for (uint32_t repeat = 0; repeat < options.repeats && !program_is_stopping(); repeat++)
        for (uint32_t i = 0; i < LANES; i++)
            run_slice(&lanes[(repeat + i) % LANES]);
}

/* Figures. */

static int compare_times(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int compare_ratios(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted samples. */
static int64_t find_quantile(const int64_t *sample_ns, uint32_t count, double part) {
    const uint32_t index = (uint32_t)(part * count);
    return sample_ns[index < count ? index : count - 1];
}

/* The median of a slice. */
static int64_t find_slice_median(const struct lane *lane, uint32_t repeat) {
    int64_t *slice = malloc(options.frames * sizeof(*slice));
    if (!slice)
        program_fail("no memory for figures");
    memcpy(slice, lane->sample_ns + (size_t)repeat * options.frames,
           options.frames * sizeof(*slice));
    qsort(slice, options.frames, sizeof(*slice), compare_times);
    const int64_t result = find_quantile(slice, options.frames, 0.5);
    free(slice);
    return result;
}

/* The slices' ratios to those of `floor`, sorted. */
static double *find_ratios(const struct lane *lane, const struct lane *floor) {
    double *ratios = malloc(options.repeats * sizeof(*ratios));
    if (!ratios)
        program_fail("no memory for figures");
    for (uint32_t i = 0; i < options.repeats; i++)
        ratios[i] = (double)find_slice_median(lane, i) / (double)find_slice_median(floor, i);
    qsort(ratios, options.repeats, sizeof(*ratios), compare_ratios);
    return ratios;
}

static json_t *describe_ratio(const struct lane *lane, const struct lane *floor) {
    double *ratios = find_ratios(lane, floor);
    json_t *object = json_pack("{s:f, s:f, s:f}", "median", ratios[options.repeats / 2], "least",
                               ratios[0], "most", ratios[options.repeats - 1]);
    free(ratios);
    return object;
}

static json_t *describe_lane(struct lane *lane) {
    json_t *ratio = describe_ratio(lane, &lanes[0]);
    json_t *ratio_in_turn = describe_ratio(lane, &lanes[1]);
    qsort(lane->sample_ns, lane->samples, sizeof(*lane->sample_ns), compare_times);
    static const struct {
        const char *name;
        double part;
    } levels[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"max_ns", 1}};
    json_t *object =
        json_pack("{s:s, s:I, s:o, s:o}", "name", lane->name, "count", (json_int_t)lane->samples,
                  "ratio", ratio, "ratio_in_turn", ratio_in_turn);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        json_object_set_new(
            object, levels[i].name,
            json_integer(find_quantile(lane->sample_ns, lane->samples, levels[i].part)));
    return object;
}

static void print_text(const json_t *told) {
    printf("%-16s %10s %10s %10s %10s   x floor (least, most)    x floor in turn (least, most)\n",
           "us", "p50", "p90", "p99", "max");
    size_t i;
    const json_t *lane;
    json_array_foreach(told, i, lane) {
        const char *name;
        json_int_t p50, p90, p99, max;
        double ratio[3], in_turn[3];
        json_unpack((json_t *)lane,
                    "{s:s, s:I, s:I, s:I, s:I, s:{s:f, s:f, s:f}, s:{s:f, s:f, s:f}}", "name",
                    &name, "p50_ns", &p50, "p90_ns", &p90, "p99_ns", &p99, "max_ns", &max, "ratio",
                    "median", &ratio[0], "least", &ratio[1], "most", &ratio[2], "ratio_in_turn",
                    "median", &in_turn[0], "least", &in_turn[1], "most", &in_turn[2]);
        printf("%-16s %10.1f %10.1f %10.1f %10.1f   %.3f (%.3f, %.3f)     %.3f (%.3f, %.3f)\n",
               name, (double)p50 / 1e3, (double)p90 / 1e3, (double)p99 / 1e3, (double)max / 1e3,
               ratio[0], ratio[1], ratio[2], in_turn[0], in_turn[1], in_turn[2]);
    }
}

static void print_figures(void) {
    json_t *told = json_array();
    /* Ratios first: the next step sorts the samples. */
    json_t *described[LANES];
    for (int i = LANES - 1; i >= 0; i--)
        described[i] = describe_lane(&lanes[i]);
    for (int i = 0; i < LANES; i++)
        json_array_append_new(told, described[i]);
    if (report_format_parse(options.format) == REPORT_JSON) {
        report_print_json(json_pack("{s:o, s:i, s:i, s:i}", "lanes", told, "width", (int)bare.width,
                                    "height", (int)bare.height, "slots",
                                    __builtin_popcount(capture.slots_seen)));
        return;
    }
    printf("%ux%u, display %s; %u slots of the ring in use\n", bare.width, bare.height,
           options.display, (unsigned)__builtin_popcount(capture.slots_seen));
    print_text(told);
    json_decref(told);
    report_flush();
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    report_format_parse(options.format);
    if (!options.frames || options.frames > FRAMES_MAX || !options.repeats ||
        options.repeats > REPEATS_MAX)
        program_fail_usage("--frames should be 1 to %d, --repeats 1 to %d", FRAMES_MAX,
                           REPEATS_MAX);
    supervisor_start();
    if (!options.display)
        options.display = x_server_start(options.size[0], options.size[1]);
    for (int i = 0; i < LANES; i++) {
        lanes[i].sample_ns =
            calloc((size_t)options.frames * options.repeats, sizeof(*lanes[i].sample_ns));
        if (!lanes[i].sample_ns)
            program_fail("no memory for figures");
    }
    open_capture();
    run_lanes();
    if (program_is_stopping())
        return EXIT_DONE;
    print_figures();
    exit(EXIT_DONE); /* supervisor and X server end with us */
}
