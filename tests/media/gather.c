#include "gather.h"

#include <errno.h>
#include <shmframe/avframe.h>
#include <stdlib.h>
#include <string.h>

struct gathered gathered[GATHER_STREAMS];
static uint32_t streams;

void gather_open(enum shmframe_policy policy, const char *const *names) {
    memset(gathered, 0, sizeof(gathered));
    for (streams = 0; names[streams]; streams++) {
        const struct shmframe_reader_params params = {
            .stream = names[streams],
            .policy = policy,
            .depth = 30,
            .deadline_ns = shmframe_deadline_ns(30 * SECOND_NS),
        };
        const int result = shmframe_reader_open(rig_session, &params, &gathered[streams].reader);
        ck_assert_msg(result == 0, "%s: %s; %s", names[streams], shmframe_last_error(),
                      rig_read_said());
    }
}

void gather_close(void) {
    for (uint32_t i = 0; i < streams; i++)
        shmframe_reader_close(gathered[i].reader);
    streams = 0;
}

static void take(struct gathered *stream, struct shmframe_lease *lease) {
    ck_assert_int_lt(stream->frames, GATHER_FRAMES);
    struct gathered_frame *frame = &stream->frame[stream->frames++];
    const AVRational unit = {lease->format->time_base.num, lease->format->time_base.den};
    *frame = (struct gathered_frame){
        .pts = lease->frame.pts,
        .pts_ns = av_rescale_q(lease->frame.pts, unit, (AVRational){1, SECOND_NS}),
        .capture_ns = lease->frame.capture_ns,
        .publish_ns = lease->frame.publish_ns,
        .flags = lease->frame.flags,
    };
    ck_assert_int_le(frame->capture_ns, frame->publish_ns);
    stream->lost += lease->lost;
    const bool is_picture = lease->format->kind == SHMFRAME_VIDEO;
    AVFrame *bridged;
    ck_assert_int_eq(shmframe_avframe_from_lease(lease, &bridged), 0);
    if (is_picture) {
        uint32_t bytes;
        uint8_t *packed = reference_pack(bridged, &bytes);
        reference_sum(packed, bytes, frame->sum);
        free(packed);
        frame->width = bridged->width;
    } else {
        clip_add_sound(&stream->sound, bridged);
    }
    av_frame_free(&bridged);
}

static void drain(struct gathered *stream, int frames) {
    while (!frames || stream->frames < frames) {
        struct shmframe_lease lease;
        const int result = shmframe_reader_acquire(stream->reader, SHMFRAME_NOW, &lease);
        if (result == -EAGAIN)
            return;
        if (result == -ENODATA) {
            stream->is_ended = true;
            return;
        }
        ck_assert_msg(result == 0, "%s", strerror(-result));
        take(stream, &lease);
    }
}

void gather_drain(void) {
    for (uint32_t i = 0; i < streams; i++)
        drain(&gathered[i], 0);
}

void gather_read(int frames) {
    while (!frames || gathered[0].frames < frames) {
        struct shmframe_reader *readers[GATHER_STREAMS];
        struct gathered *whose[GATHER_STREAMS];
        uint32_t left = 0;
        for (uint32_t i = 0; i < streams; i++)
            if (!gathered[i].is_ended) {
                whose[left] = &gathered[i];
                readers[left++] = gathered[i].reader;
            }
        if (!left)
            return;
        uint64_t ready;
        const int result =
            shmframe_readers_wait(readers, left, shmframe_deadline_ns(30 * SECOND_NS), &ready);
        ck_assert_msg(result > 0, "%s after %d frames: %s", strerror(-result), gathered[0].frames,
                      rig_read_said());
        for (uint32_t i = 0; i < left; i++)
            if (ready & (UINT64_C(1) << i))
                drain(whose[i], whose[i] == &gathered[0] ? frames : 0);
    }
}

static const struct reference *read_reference(const char *clip) {
    static struct reference reference;
    static char of[256];
    if (strcmp(of, clip) != 0)
        reference_read(clip, "rawvideo", &reference);
    snprintf(of, sizeof(of), "%s", clip);
    return &reference;
}

int gather_match_pictures(int number, const char *clip, int from) {
    const struct reference *reference = read_reference(clip);
    const struct gathered *stream = &gathered[number];
    int at = 0, matched = 0;
    for (int i = from; i < stream->frames && at < reference->frames; i++, matched++) {
        while (at < reference->frames &&
               memcmp(reference->frame[at].sum, stream->frame[i].sum, REFERENCE_SUM_BYTES) != 0)
            at++;
        ck_assert_msg(at < reference->frames, "picture %d of stream %d is none of %s", i, number,
                      clip);
        at++;
    }
    return matched;
}

void gather_expect_pictures(int number, const char *clip) {
    const struct gathered *stream = &gathered[number];
    ck_assert_msg(stream->frames == read_reference(clip)->frames,
                  "%d frames of %d, %d lost, first at %jd ns: %s", stream->frames,
                  read_reference(clip)->frames, (int)stream->lost,
                  (intmax_t)stream->frame[0].pts_ns, rig_read_said());
    ck_assert_int_eq(gather_match_pictures(number, clip, 0), stream->frames);
}

void gather_expect_sound(int number, const char *clip) {
    static struct clip_truth truth;
    clip_decode(clip, &truth);
    ck_assert_uint_eq(gathered[number].sound.samples, truth.sound.samples);
    ck_assert(clip_is_same_sound(&gathered[number].sound, &truth.sound));
}
