#include "reference.h"

#include <check.h>
#include <inttypes.h>
#include <libavutil/imgutils.h>
#include <libavutil/md5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 96, COMMAND_BYTES = 2048 };

void reference_run(const char *arguments) {
    char text[COMMAND_BYTES], *words[WORDS] = {"ffmpeg", "-nostdin", "-v", "error", "-y"};
    ck_assert_uint_lt((size_t)snprintf(text, sizeof(text), "%s", arguments), sizeof(text));
    char *rest = text;
    for (int i = 5; (words[i] = strtok_r(NULL, " ", &rest)); i++)
        ck_assert_int_lt(i, WORDS - 1);
    const pid_t test = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == test)
            execvp(words[0], words);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ffmpeg %s", arguments);
}

static void read_line(const char *line, struct reference *reference) {
    struct reference_frame *frame = &reference->frame[reference->frames];
    int track, at = 0;
    sscanf(line, "#tb 0: %d/%d", &reference->unit.num, &reference->unit.den);
    if (line[0] == '#')
        return;
    ck_assert_int_lt(reference->frames, REFERENCE_FRAMES);
    const int found = sscanf(line, "%d, %*d, %" SCNd64 ", %*d, %" SCNu32 ", %n", &track,
                             &frame->pts, &frame->bytes, &at);
    ck_assert_msg(found == 3 && at > 0, "%s", line);
    for (int i = 0; i < REFERENCE_SUM_BYTES; i++)
        ck_assert_int_eq(sscanf(line + at + 2 * i, "%2hhx", &frame->sum[i]), 1);
    reference->frames++;
}

void reference_read(const char *clip, const char *encoder, struct reference *out_reference) {
    char text[COMMAND_BYTES], path[512], line[256];
    snprintf(path, sizeof(path), "%s.framemd5", clip);
    const char kind = strcmp(encoder, "rawvideo") ? 'a' : 'v';
    snprintf(text, sizeof(text),
             "-noautorotate -i %s -map 0:%c:0 -copyts -fps_mode passthrough -enc_time_base -1 "
             "-autoscale 0 -c:%c %s -f framemd5 %s",
             clip, kind, kind, encoder, path);
    reference_run(text);
    memset(out_reference, 0, sizeof(*out_reference));
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        read_line(line, out_reference);
    fclose(file);
    ck_assert_int_gt(out_reference->unit.den, 0);
}

static uint8_t *pack_picture(const AVFrame *frame, uint32_t *out_bytes) {
    const int bytes = av_image_get_buffer_size(frame->format, frame->width, frame->height, 1);
    ck_assert_int_gt(bytes, 0);
    uint8_t *packed = malloc((size_t)bytes);
    ck_assert_int_eq(av_image_copy_to_buffer(packed, bytes, (const uint8_t *const *)frame->data,
                                             frame->linesize, frame->format, frame->width,
                                             frame->height, 1),
                     bytes);
    *out_bytes = (uint32_t)bytes;
    return packed;
}

static uint8_t *pack_sound(const AVFrame *frame, uint32_t *out_bytes) {
    const size_t sample_bytes = (size_t)av_get_bytes_per_sample(frame->format);
    const size_t channels = (size_t)frame->ch_layout.nb_channels;
    const bool is_planar = av_sample_fmt_is_planar(frame->format);
    const size_t samples = (size_t)frame->nb_samples;
    uint8_t *packed = malloc(samples * channels * sample_bytes);
    for (size_t s = 0; s < samples; s++)
        for (size_t c = 0; c < channels; c++)
            memcpy(packed + (s * channels + c) * sample_bytes,
                   frame->extended_data[is_planar ? c : 0] +
                       (is_planar ? s : s * channels + c) * sample_bytes,
                   sample_bytes);
    *out_bytes = (uint32_t)(samples * channels * sample_bytes);
    return packed;
}

uint8_t *reference_pack(const AVFrame *frame, uint32_t *out_bytes) {
    return frame->nb_samples > 0 ? pack_sound(frame, out_bytes) : pack_picture(frame, out_bytes);
}

void reference_sum(const uint8_t *bytes, uint32_t count, uint8_t out_sum[REFERENCE_SUM_BYTES]) {
    av_md5_sum(out_sum, bytes, count);
}

const char *reference_name_pcm(enum AVSampleFormat format) {
    switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8:
        return "pcm_u8";
    case AV_SAMPLE_FMT_S16:
        return "pcm_s16le";
    case AV_SAMPLE_FMT_S32:
        return "pcm_s32le";
    case AV_SAMPLE_FMT_S64:
        return "pcm_s64le";
    case AV_SAMPLE_FMT_FLT:
        return "pcm_f32le";
    case AV_SAMPLE_FMT_DBL:
        return "pcm_f64le";
    default:
        return NULL;
    }
}
