/* Two ways to take samples from PortAudio, side by side: its blocking read, asked first how much
 * there is and timed by the earliest arrivals, as shmframe-microphone does it; and its call-back,
 * which tells the time of the ADC and whose samples have to be copied.
 *
 * The sound server is PulseAudio through ALSA, and the truth is known: each sample has its number
 * and was given to the server at its instant. The part of the processor is this process' without
 * the thread that makes the signal. Figures of one run compare with each other only.
 */
#include "adc_clock.h"
#include "program.h"
#include "report.h"
#include "sound_input.h"
#include "sound_server.h"
#include "sound_system.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum { BLOCK = SIGNAL_RATE / 100, BLOCKS_MAX = 100 * 600, LOADS_MAX = 16 };
static const int64_t latencies_ns[] = {SECOND_NS / 100, SECOND_NS / 25, SECOND_NS / 5};

static struct {
    uint32_t seconds, loads;
    const char *format;
} options = {.seconds = 10, .format = "text"};

static const struct option_spec specs[] = {
    {"seconds", 's', OPTION_COUNT, &options.seconds, "COUNT", "of each measurement; default 10"},
    {"load", 'l', OPTION_COUNT, &options.loads, "COUNT",
     "processes that use a processor each all the time; default 0"},
    {"format", 0, OPTION_TEXT, &options.format, "text|json", "how to print the figures"},
    {0},
};

static const struct program program = {
    .name = "bench-microphone",
    .purpose = "Measures PortAudio's blocking read beside its call-back.",
    .options = specs,
};

/* What was recorded. */
struct record {
    const struct sound_feed *feed;
    int64_t next; /* number of the sample that is to come; -1: none was there */
    int64_t lost; /* samples, and those that came again */
    uint32_t blocks;
    int64_t error_ns[BLOCKS_MAX]; /* capture time told - truth */
    int64_t age_ns[BLOCKS_MAX];   /* from the block's end to where it is whole */
};
static struct record record;

static void begin_record(const struct sound_feed *feed) {
    record.feed = feed;
    record.next = -1;
    record.lost = 0;
    record.blocks = 0;
}

/* Takes a block whose first sample is said to be from `capture_ns`. */
static void take_block(const int16_t *samples, uint32_t count, int64_t capture_ns) {
    const int64_t now_ns = shmframe_now_ns();
    if (record.blocks == BLOCKS_MAX)
        return;
    const int64_t near = (capture_ns - record.feed->start_ns) * SIGNAL_RATE / SECOND_NS;
    int64_t first = near - near % SIGNAL_PERIOD + samples[1] - 1;
    if (first - near > SIGNAL_PERIOD / 2)
        first -= SIGNAL_PERIOD;
    if (near - first > SIGNAL_PERIOD / 2)
        first += SIGNAL_PERIOD;
    if (record.next >= 0)
        record.lost += llabs(first - record.next);
    for (uint32_t i = 1; i < count; i++) {
        const int step = samples[2 * i + 1] - samples[2 * i - 1];
        record.lost += step != 1 && step != 1 - SIGNAL_PERIOD;
    }
    record.next = first + count;
    const int64_t truth_ns = record.feed->start_ns + first * SECOND_NS / SIGNAL_RATE;
    record.error_ns[record.blocks] = capture_ns - truth_ns;
    record.age_ns[record.blocks++] = now_ns - truth_ns - count * SECOND_NS / SIGNAL_RATE;
}

/* The two ways. */

static void fail(const struct sound_input *input) {
    program_fail("%s", input->trouble);
}

static void do_job(struct sound_input *input, enum sound_job job) {
    if (sound_input_begin(input, job) < 0)
        program_fail("no thread");
    if (sound_input_end(input) < 0)
        fail(input);
}

/* As producers/microphone.c does it. Returns the error that the clock tells. */
static int64_t read_blocks(int64_t latency_ns) {
    const struct sound_wish wish = {.sample_format = "s16", .latency_ns = latency_ns};
    struct sound_input input;
    struct adc_clock clock;
    if (sound_input_init(&input, &wish) < 0)
        program_fail("no descriptor");
    do_job(&input, SOUND_OPEN);
    do_job(&input, SOUND_START);
    adc_clock_init(&clock);
    adc_clock_open(&clock, SIGNAL_RATE);
    static int16_t slot[2 * BLOCK];
    int64_t taken = 0;
    const int64_t end_ns = shmframe_now_ns() + options.seconds * SECOND_NS;
    while (!record.blocks || shmframe_now_ns() < end_ns) {
        const int64_t available = sound_input_available(&input);
        if (available < 0 && available != -EOVERFLOW)
            fail(&input);
        if (available == -EOVERFLOW)
            adc_clock_overflow(&clock, taken);
        else
            adc_clock_observe(&clock, taken + available, shmframe_now_ns());
        if (available >= BLOCK) {
            sound_input_read(&input, (uint8_t *)slot, 0, BLOCK);
            take_block(slot, BLOCK,
                       adc_clock_capture_ns(&clock, adc_clock_position(&clock, taken)));
            taken += BLOCK;
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    Pa_CloseStream(input.stream);
    sound_system_stop();
    close(input.done_fd);
    return clock.error_ns;
}

/* PortAudio's clock is one of the system's, which one depends on its version, or none. */
static int64_t convert_ns(const PaStreamCallbackTimeInfo *time, uint32_t count) {
    const int64_t now_ns = shmframe_now_ns();
    const double behind_s = time->currentTime - time->inputBufferAdcTime;
    const bool is_told = time->currentTime > 0 && behind_s >= 0 && behind_s < 10;
    if (!is_told)
        return now_ns - count * SECOND_NS / SIGNAL_RATE;
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    const int64_t wall_ns = wall.tv_sec * SECOND_NS + wall.tv_nsec;
    const int64_t current_ns = (int64_t)(time->currentTime * 1e9);
    const bool is_wall = llabs(current_ns - wall_ns) < llabs(current_ns - now_ns);
    return now_ns - ((is_wall ? wall_ns : now_ns) - current_ns) - (int64_t)(behind_s * 1e9);
}

static int call_back(const void *in, void *out, unsigned long count,
                     const PaStreamCallbackTimeInfo *time, PaStreamCallbackFlags flags,
                     void *user) {
    (void)out, (void)flags, (void)user;
    static int16_t slot[2 * BLOCK];
    memcpy(slot, in, count * 2 * sizeof(int16_t));
    take_block(slot, (uint32_t)count, convert_ns(time, (uint32_t)count));
    return paContinue;
}

static int64_t be_called_back(int64_t latency_ns) {
    if (!sound_system_start())
        program_fail("no sound system");
    const PaStreamParameters parameters = {
        .device = Pa_GetDefaultInputDevice(),
        .channelCount = SIGNAL_CHANNELS,
        .sampleFormat = paInt16,
        .suggestedLatency = (double)latency_ns / 1e9,
    };
    PaStream *stream;
    if (Pa_OpenStream(&stream, &parameters, NULL, SIGNAL_RATE, BLOCK, paNoFlag, call_back, NULL) ||
        Pa_StartStream(stream))
        program_fail("the device cannot be opened");
    const int64_t end_ns = shmframe_now_ns() + options.seconds * SECOND_NS;
    while (shmframe_now_ns() < end_ns)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    sound_system_hush();
    Pa_CloseStream(stream);
    sound_system_unhush();
    sound_system_stop();
    return 0;
}

/* Figures. */

static int compare(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double find_quantile_ms(int64_t *values, double share) {
    if (!record.blocks)
        return 0;
    qsort(values, record.blocks, sizeof(*values), compare);
    return (double)values[(uint32_t)(share * (record.blocks - 1))] / 1e6;
}

static double read_clock_s(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static json_t *measure(const char *name, int64_t (*way)(int64_t), int64_t latency_ns,
                       const struct sound_feed *feed) {
    clockid_t feed_clock;
    pthread_getcpuclockid(feed->thread, &feed_clock);
    begin_record(feed);
    const double before_s = read_clock_s(CLOCK_PROCESS_CPUTIME_ID) - read_clock_s(feed_clock);
    const int64_t told_ns = way(latency_ns);
    const double used_s =
        read_clock_s(CLOCK_PROCESS_CPUTIME_ID) - read_clock_s(feed_clock) - before_s;
    return json_pack(
        "{s:s, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "way", name, "latency_ms",
        (double)latency_ns / 1e6, "blocks", (json_int_t)record.blocks, "lost_samples",
        (json_int_t)record.lost, "error_min_ms", find_quantile_ms(record.error_ns, 0),
        "error_median_ms", find_quantile_ms(record.error_ns, 0.5), "error_max_ms",
        find_quantile_ms(record.error_ns, 1), "told_error_ms", (double)told_ns / 1e6,
        "age_median_ms", find_quantile_ms(record.age_ns, 0.5), "age_p99_ms",
        find_quantile_ms(record.age_ns, 0.99), "processor_percent", 100 * used_s / options.seconds);
}

static void print_text(const json_t *figures) {
    printf("latency  way         blocks  lost     time off: min  median   max   told  "
           "age: median   p99   processor\n");
    size_t i;
    const json_t *row;
    json_array_foreach(figures, i, row) {
        const char *way;
        double latency, least, median, most, told, age, late, share;
        json_int_t blocks, lost;
        json_unpack((json_t *)row, "{s:s, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "way",
                    &way, "latency_ms", &latency, "blocks", &blocks, "lost_samples", &lost,
                    "error_min_ms", &least, "error_median_ms", &median, "error_max_ms", &most,
                    "told_error_ms", &told, "age_median_ms", &age, "age_p99_ms", &late,
                    "processor_percent", &share);
        printf("%4.0f ms  %-10s  %6" JSON_INTEGER_FORMAT "  %4" JSON_INTEGER_FORMAT
               "          %6.2f  %6.2f  %6.2f %5.2f       %7.2f %7.2f   %6.2f %%\n",
               latency, way, blocks, lost, least, median, most, told, age, late, share);
    }
}

static void start_loads(pid_t loads[LOADS_MAX]) {
    for (uint32_t i = 0; i < options.loads; i++) {
        loads[i] = fork();
        if (loads[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (volatile uint64_t count = 0;; count++)
                ;
        }
    }
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    const enum report_format format = report_format_parse(options.format);
    if (options.loads > LOADS_MAX)
        program_fail_usage("--load should be %d at most", LOADS_MAX);
    if (options.seconds < 1 || options.seconds > 600)
        program_fail_usage("--seconds should be from 1 to 600");
    struct sound_server server;
    struct sound_feed feed;
    if (!sound_server_init(&server) || setenv("PULSE_SOURCE", "pipe", 1) < 0 ||
        !sound_feed_start(&feed, &server))
        program_fail("no sound server: is pulseaudio installed?");
    pid_t loads[LOADS_MAX];
    start_loads(loads);
    json_t *figures = json_array();
    for (size_t i = 0; i < sizeof(latencies_ns) / sizeof(latencies_ns[0]); i++) {
        json_array_append_new(figures, measure("read", read_blocks, latencies_ns[i], &feed));
        json_array_append_new(figures,
                              measure("call-back", be_called_back, latencies_ns[i], &feed));
    }
    for (uint32_t i = 0; i < options.loads; i++) {
        kill(loads[i], SIGKILL);
        waitpid(loads[i], NULL, 0);
    }
    sound_feed_stop(&feed);
    sound_server_finish(&server);
    if (format == REPORT_TEXT)
        print_text(figures);
    else
        report_print_json(json_pack("{s:O}", "figures", figures));
    json_decref(figures);
    report_flush();
    return EXIT_DONE;
}
