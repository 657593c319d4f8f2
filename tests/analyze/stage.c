#include "stage.h"

#include <fcntl.h>
#include <libavutil/samplefmt.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pid_t analyzer; /* 0: none runs */
    FILE *output;
    json_t *told;
    uint32_t rate_hz, block;
} stage;

void stage_set_rate(uint32_t rate_hz) {
    stage.rate_hz = rate_hz;
    stage.block = rate_hz / 10;
}

uint32_t stage_rate_hz(void) {
    return stage.rate_hz;
}

void stage_begin(void) {
    world_begin();
    stage_set_rate(STAGE_RATE_HZ);
    stage.told = json_array();
    stage.output = tmpfile();
    ck_assert_ptr_nonnull(stage.output);
}

void stage_end(void) {
    if (stage.analyzer > 0)
        world_kill(stage.analyzer);
    stage.analyzer = 0;
    json_decref(stage.told);
    fclose(stage.output);
    world_end();
}

/* Writing. */

static int open_sound(const char *stream, const char *sample_format, const char *layout,
                      uint32_t channels, struct shmframe_writer **out_writer) {
    struct shmframe_writer_params params = {.stream = stream};
    ck_assert_int_eq(
        shmframe_format_audio(&params.format, sample_format, channels, stage.rate_hz, stage.block),
        0);
    if (layout)
        snprintf(params.format.audio.channel_layout, sizeof(params.format.audio.channel_layout),
                 "%s", layout);
    params.format.time_base = (struct shmframe_rational){1, (int32_t)stage.rate_hz};
    return shmframe_writer_open(world.session, &params, out_writer);
}

struct shmframe_writer *stage_open_sound(const char *stream, const char *sample_format,
                                         const char *layout, uint32_t channels) {
    struct shmframe_writer *writer = NULL;
    const int code = open_sound(stream, sample_format, layout, channels, &writer);
    ck_assert_msg(code == 0, "no writer: %s", shmframe_last_error());
    return writer;
}

struct shmframe_writer *stage_try_open_sound(const char *stream) {
    struct shmframe_writer *writer = NULL;
    return open_sound(stream, "flt", NULL, 2, &writer) == 0 ? writer : NULL;
}

static double clip(double value, double low, double high) {
    return value < low ? low : value > high ? high : value;
}

static void put_sample(void *at, enum AVSampleFormat type, double value) {
    switch ((int)type) {
    case AV_SAMPLE_FMT_U8:
        *(uint8_t *)at = (uint8_t)lrint(clip(value * 128 + 128, 0, UINT8_MAX));
        break;
    case AV_SAMPLE_FMT_S16:
        *(int16_t *)at = (int16_t)lrint(clip(value * 32768, INT16_MIN, INT16_MAX));
        break;
    case AV_SAMPLE_FMT_S32:
        *(int32_t *)at = (int32_t)llrint(clip(value * 2147483648.0, INT32_MIN, INT32_MAX));
        break;
    case AV_SAMPLE_FMT_S64:
        *(int64_t *)at = llrint(clip(value, -1, 0.9999999999999998) * 9223372036854775808.0);
        break;
    case AV_SAMPLE_FMT_FLT:
        *(float *)at = (float)value;
        break;
    case AV_SAMPLE_FMT_DBL:
        *(double *)at = value;
        break;
    }
}

static void fill(const struct shmframe_loan *loan, stage_signal *signal, void *user,
                 uint64_t first) {
    const struct shmframe_audio_format *format = &loan->format->audio;
    const enum AVSampleFormat sample_format = av_get_sample_fmt(format->sample_format);
    const enum AVSampleFormat type = av_get_packed_sample_fmt(sample_format);
    const size_t bytes = (size_t)av_get_bytes_per_sample(type);
    for (uint32_t c = 0; c < format->channels; c++) {
        for (uint32_t i = 0; i < loan->frame.samples; i++) {
            uint8_t *at = av_sample_fmt_is_planar(sample_format)
                              ? shmframe_loan_plane(loan, c) + i * bytes
                              : loan->data + (i * format->channels + c) * bytes;
            put_sample(at, type, signal(user, c, first + i));
        }
    }
}

static void write_some(struct shmframe_writer *writer, stage_signal *signal, void *user,
                       uint64_t first, struct shmframe_frame stamps) {
    struct shmframe_loan loan;
    const int code = shmframe_writer_loan(writer, world_deadline(), &loan);
    ck_assert_msg(code == 0, "no loan (%d): %s", code, shmframe_last_error());
    loan.frame.pts = (int64_t)first;
    loan.frame.samples = stamps.samples;
    loan.frame.flags = stamps.flags;
    loan.frame.device_dropped = stamps.device_dropped;
    fill(&loan, signal, user, first);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

void stage_write_block(struct shmframe_writer *writer, stage_signal *signal, void *user,
                       uint64_t first, uint32_t flags, uint32_t device_dropped) {
    write_some(writer, signal, user, first,
               (struct shmframe_frame){
                   .samples = stage.block, .flags = flags, .device_dropped = device_dropped});
}

void stage_write(struct shmframe_writer *writer, stage_signal *signal, void *user, uint64_t first,
                 uint64_t samples) {
    for (uint64_t done = 0; done < samples;) {
        const uint64_t left = samples - done;
        const uint32_t count = left < stage.block ? (uint32_t)left : stage.block;
        write_some(writer, signal, user, first + done, (struct shmframe_frame){.samples = count});
        done += count;
    }
}

/* The program. */

static void execute(const char *const *arguments) {
    char *words[32] = {"shmframe-analyze", "--format", "json"};
    int count = 3;
    while (*arguments && count < 31)
        words[count++] = (char *)*arguments++;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("SHMFRAME_SOCKET", world.socket, 1);
    dup2(fileno(stage.output), STDOUT_FILENO);
    if (!getenv("SHMFRAMED_LOG"))
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    execv(getenv("ANALYZE"), words);
    _exit(127);
}

pid_t stage_pid(void) {
    return stage.analyzer;
}

void stage_start_program(const char *const *arguments) {
    ck_assert_msg(getenv("ANALYZE") != NULL, "ANALYZE does not name the program");
    stage.analyzer = fork();
    ck_assert_int_ge(stage.analyzer, 0);
    if (stage.analyzer == 0)
        execute(arguments);
}

void stage_start(struct shmframe_writer *const *writers, const char *const *arguments) {
    stage_start_program(arguments);
    for (; *writers; writers++)
        world_expect_writer_event(*writers, SHMFRAME_READER_JOINED);
}

void stage_await_told(void) {
    const int64_t deadline_ns = world_deadline();
    struct stat status;
    do {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the analyzer told nothing");
        poll(NULL, 0, 2);
        ck_assert_int_eq(fstat(fileno(stage.output), &status), 0);
    } while (status.st_size == 0);
}

int stage_join(void) {
    const int64_t deadline_ns = world_deadline();
    int status;
    while (waitpid(stage.analyzer, &status, WNOHANG) == 0) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the analyzer did not end");
        shmframe_session_dispatch(world.session);
        poll(NULL, 0, 2);
    }
    stage.analyzer = 0;
    ck_assert_msg(WIFEXITED(status), "the analyzer ended with 0x%x", (unsigned)status);
    rewind(stage.output);
    json_t *object;
    while ((object = json_loadf(stage.output, JSON_DISABLE_EOF_CHECK, NULL)))
        json_array_append_new(stage.told, object);
    return WEXITSTATUS(status);
}

/* Results. */

static bool is(const json_t *object, const char *name, const char *wanted) {
    const char *value = json_string_value(json_object_get(object, name));
    return value && strcmp(value, wanted) == 0;
}

/* The object number `index` of those that say so; NULL: there are not so many. */
static const json_t *find(const char *stream, const char *key, const char *value, unsigned index) {
    size_t i;
    json_t *object;
    json_array_foreach(stage.told, i, object) {
        if (is(object, "stream", stream) && is(object, key, value) && index-- == 0)
            return object;
    }
    return NULL;
}

const json_t *stage_total(const char *stream) {
    const json_t *total = find(stream, "span", "total", 0);
    ck_assert_msg(total != NULL, "nothing was told of %s", stream);
    return total;
}

const json_t *stage_interval(const char *stream, unsigned index) {
    const json_t *interval = find(stream, "span", "interval", index);
    ck_assert_msg(interval != NULL, "%s has no interval %u", stream, index);
    return interval;
}

const json_t *stage_event(const char *stream, const char *event) {
    return find(stream, "event", event, 0);
}

double stage_number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    ck_assert_msg(json_is_number(value), "%s is no number", name);
    return json_number_value(value);
}
