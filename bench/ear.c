#include "ear.h"

#include "program.h"

#include <math.h>
#include <pulse/pulseaudio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 48000, NEWS = 65536 /* minutes of them */ };
static const double loud = 0.25; /* of full scale: the tone stays below, the beep does not */
static const int64_t quiet_min_ns = 100000000;
static const int64_t pause_ns = 2000000; /* between two pieces of news */
static const int64_t around_ns = 1500000000;

struct ear {
    pa_threaded_mainloop *loop;
    pa_context *context;
    pa_stream *stream;
    /* Below: with the loop's lock. */
    uint64_t position; /* of the next sample */
    int64_t told_ns;   /* when the last news came */
    uint32_t news;     /* that began a piece; the last NEWS are kept */
    struct news {
        int64_t told_ns, base_ns; /* when; instant of position 0 that this one makes of it */
    } piece[NEWS];
    uint64_t loud_position; /* the last loud sample */
    uint32_t beeps;
    uint64_t beep[INSTANTS_MAX];
    int64_t beep_told_ns[INSTANTS_MAX];
};

static int64_t to_ns(uint64_t position) {
    return (int64_t)llround((double)position * 1e9 / RATE);
}

static void hear(struct ear *ear, const float *samples, size_t count, int64_t now_ns) {
    for (size_t i = 0; i < count; i++) {
        if (fabsf(samples[i]) < loud)
            continue;
        const uint64_t position = ear->position + i;
        if (to_ns(position - ear->loud_position) > quiet_min_ns && ear->beeps < INSTANTS_MAX) {
            ear->beep_told_ns[ear->beeps] = now_ns;
            ear->beep[ear->beeps++] = position;
        }
        ear->loud_position = position;
    }
}

static void take_news(pa_stream *stream, size_t bytes, void *user) {
    (void)bytes;
    struct ear *ear = user;
    const int64_t now_ns = shmframe_now_ns();
    if (now_ns - ear->told_ns > pause_ns) {
        ear->piece[ear->news % NEWS] = (struct news){now_ns, now_ns - to_ns(ear->position)};
        ear->news++;
    }
    while (pa_stream_readable_size(stream) > 0) {
        const void *data;
        size_t length;
        if (pa_stream_peek(stream, &data, &length) < 0 || length == 0)
            break;
        if (data)
            hear(ear, data, length / sizeof(float), now_ns);
        ear->position += length / sizeof(float);
        pa_stream_drop(stream);
    }
    ear->told_ns = shmframe_now_ns();
}

static void wake(pa_context *context, void *user) {
    (void)context;
    pa_threaded_mainloop_signal(user, 0);
}

static void wake_stream(pa_stream *stream, void *user) {
    (void)stream;
    pa_threaded_mainloop_signal(((struct ear *)user)->loop, 0);
}

static void connect_context(struct ear *ear) {
    pa_context_set_state_callback(ear->context, wake, ear->loop);
    if (pa_context_connect(ear->context, NULL, PA_CONTEXT_NOAUTOSPAWN, NULL) < 0)
        program_fail("no sound server");
    while (pa_context_get_state(ear->context) != PA_CONTEXT_READY) {
        if (!PA_CONTEXT_IS_GOOD(pa_context_get_state(ear->context)))
            program_fail("no sound server: %s", pa_strerror(pa_context_errno(ear->context)));
        pa_threaded_mainloop_wait(ear->loop);
    }
}

static void connect_stream(struct ear *ear, const char *source) {
    const pa_sample_spec spec = {.format = PA_SAMPLE_FLOAT32NE, .rate = RATE, .channels = 1};
    /* In pieces that the sink makes; without a wish of ours for its latency. */
    const pa_buffer_attr pieces = {.maxlength = UINT32_MAX, .fragsize = UINT32_MAX};
    ear->stream = pa_stream_new(ear->context, "ear", &spec, NULL);
    pa_stream_set_state_callback(ear->stream, wake_stream, ear);
    pa_stream_set_read_callback(ear->stream, take_news, ear);
    if (pa_stream_connect_record(ear->stream, source, &pieces, PA_STREAM_NOFLAGS) < 0)
        program_fail("%s cannot be recorded", source);
    while (pa_stream_get_state(ear->stream) != PA_STREAM_READY) {
        if (!PA_STREAM_IS_GOOD(pa_stream_get_state(ear->stream)))
            program_fail("%s cannot be recorded: %s", source,
                         pa_strerror(pa_context_errno(ear->context)));
        pa_threaded_mainloop_wait(ear->loop);
    }
}

struct ear *ear_open(const char *source) {
    struct ear *ear = calloc(1, sizeof(*ear));
    if (!ear)
        program_fail("no memory");
    ear->loop = pa_threaded_mainloop_new();
    ear->context = pa_context_new(pa_threaded_mainloop_get_api(ear->loop), "bench");
    pa_threaded_mainloop_lock(ear->loop);
    if (pa_threaded_mainloop_start(ear->loop) < 0)
        program_fail("no thread");
    connect_context(ear);
    connect_stream(ear, source);
    pa_threaded_mainloop_unlock(ear->loop);
    return ear;
}

void ear_close(struct ear *ear) {
    if (!ear)
        return;
    pa_threaded_mainloop_lock(ear->loop);
    pa_stream_disconnect(ear->stream);
    pa_stream_unref(ear->stream);
    pa_context_disconnect(ear->context);
    pa_context_unref(ear->context);
    pa_threaded_mainloop_unlock(ear->loop);
    pa_threaded_mainloop_stop(ear->loop);
    pa_threaded_mainloop_free(ear->loop);
    free(ear);
}

/* The instant of position 0 that the earliest news around an instant tell. */
static int64_t find_base(const struct ear *ear, int64_t instant_ns) {
    int64_t base_ns = INT64_MAX;
    for (uint32_t i = 0; i < NEWS && i < ear->news; i++) {
        const struct news *piece = &ear->piece[i];
        if (llabs(piece->told_ns - instant_ns) < around_ns && piece->base_ns < base_ns)
            base_ns = piece->base_ns;
    }
    return base_ns;
}

void ear_read(struct ear *ear, struct instants *out_beeps, int64_t *out_error_ns) {
    int64_t least_ns = INT64_MAX, most_ns = INT64_MIN;
    out_beeps->count = 0;
    pa_threaded_mainloop_lock(ear->loop);
    for (uint32_t i = 0; i < ear->beeps; i++) {
        const int64_t base_ns = find_base(ear, ear->beep_told_ns[i]);
        least_ns = base_ns < least_ns ? base_ns : least_ns;
        most_ns = base_ns > most_ns ? base_ns : most_ns;
        out_beeps->ns[out_beeps->count++] = base_ns + to_ns(ear->beep[i]);
    }
    pa_threaded_mainloop_unlock(ear->loop);
    *out_error_ns = out_beeps->count > 0 ? most_ns - least_ns : 0;
}
