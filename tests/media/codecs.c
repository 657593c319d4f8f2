/* shmframe-media over codecs, pixel formats, sizes and rates: each frame that a reader gets is
 * what FFmpeg's own framemd5 says, and stays so as long as it is read. */
#include "reference.h"
#include "rig.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <shmframe/avframe.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *encoder;
    const char *source;    /* of ffmpeg's lavfi */
    const char *arguments; /* how to encode it */
    const char *ending;
    const char *copied; /* why some frames are copied all the same; NULL: none is */
};

#define SMALL "testsrc2=s=96x80:r=25:d=1"
#define ODD   "testsrc2=s=101x67:r=24000/1001:d=1"
#define ONE   "testsrc2=s=32x32:r=25:d=1,format=gbrp,crop=1:1:9:9"
/* Little moves: most blocks are skipped, and pictures repeat. */
#define CALM "testsrc=s=96x80:r=25:d=1"

static const struct row pictures[] = {
    /* H.264 */
    {"libx264", SMALL, "-pix_fmt yuv420p -bf 3", "mp4", NULL},
    {"libx264", ODD, "-pix_fmt yuv444p -bf 2", "mkv", NULL},
    {"libx264", "testsrc2=s=98x66:r=7.3:d=3", "-pix_fmt yuv420p10le -bf 3 -refs 6", "mkv", NULL},
    {"libx264", SMALL, "-pix_fmt yuv422p10le", "mov", NULL},
    {"libx264", "testsrc2=s=101x67", "-frames:v 20 -pix_fmt gray", "mkv", NULL},
    {"libx264", SMALL, "-pix_fmt yuv420p -x264-params tff=1:bframes=2", "ts", NULL},
    {"libx264", CALM, "-pix_fmt yuv420p -qp 0 -bf 2", "mkv", NULL},
    {"libx264", SMALL, "-pix_fmt yuv420p -bf 1 -bsf:v h264_metadata=crop_left=6:crop_top=2", "mp4",
     NULL},
    {"libx264", SMALL,
     "-pix_fmt yuv420p -bsf:v h264_metadata=crop_left=32:crop_right=2:crop_top=8:crop_bottom=4",
     "ts", NULL},
    {"libx264rgb", ODD, "-pix_fmt rgb24 -bf 2", "mkv", NULL},
    /* H.265 */
    {"libx265", SMALL, "-pix_fmt yuv420p -x265-params log-level=none", "mp4", NULL},
    {"libx265", ODD, "-pix_fmt yuv444p10le -x265-params log-level=none", "mkv", NULL},
    {"libx265", SMALL, "-pix_fmt yuv420p12le -x265-params log-level=none", "mkv", NULL},
    {"libx265", ODD, "-pix_fmt gbrp -x265-params log-level=none", "mkv", NULL},
    /* The others that refer to earlier pictures */
    {"libvpx-vp9", SMALL, "-pix_fmt yuv420p -deadline realtime -cpu-used 8", "webm", NULL},
    {"libvpx-vp9", ODD, "-pix_fmt yuv444p10le -deadline realtime -cpu-used 8", "mkv", NULL},
    {"libvpx-vp9", ODD, "-pix_fmt gbrp -deadline realtime -cpu-used 8", "mkv", NULL},
    {"libvpx", ODD, "-pix_fmt yuv420p -deadline realtime -cpu-used 8", "webm", NULL},
    {"libvpx", SMALL, "-pix_fmt yuva420p -auto-alt-ref 0 -deadline realtime", "webm", NULL},
    {"libsvtav1", "testsrc2=s=96x80:r=25:d=1", "-pix_fmt yuv420p -preset 12", "mp4", NULL},
    {"libaom-av1", ODD, "-frames:v 10 -pix_fmt yuv420p10le -usage realtime -cpu-used 8", "mkv",
     NULL},
    {"libtheora", ODD, "-pix_fmt yuv444p", "ogv", NULL},
    {"libtheora", CALM, "-pix_fmt yuv420p", "ogv", NULL},
    {"mpeg1video", SMALL, "-pix_fmt yuv420p -bf 2", "mpg", NULL},
    {"mpeg2video", SMALL, "-pix_fmt yuv422p -bf 2", "mkv", NULL},
    {"mpeg2video", "testsrc2=s=102x66:r=25:d=1", "-pix_fmt yuv420p -flags +ildct+ilme -top 1", "ts",
     NULL},
    {"mpeg4", ODD, "-pix_fmt yuv420p -bf 2", "mp4", NULL},
    {"mpeg4", CALM, "-pix_fmt yuv420p -flags +qpel+mv4", "mkv", NULL},
    /* AVI has an empty chunk where a picture is left out. */
    {"mpeg4", "testsrc2=s=96x80:r=25:d=1,select=mod(n\\,3)",
     "-pix_fmt yuv420p -fps_mode passthrough", "avi", NULL},
    {"libxvid", CALM, "-pix_fmt yuv420p -bf 2", "avi", NULL},
    {"h263", "testsrc=s=128x96:r=25:d=1", "-pix_fmt yuv420p", "mkv", NULL},
    {"h263p", "testsrc=s=128x96:r=25:d=1", "-pix_fmt yuv420p", "mkv", NULL},
    {"h261", "testsrc=s=176x144:r=25:d=1", "-pix_fmt yuv420p", "mkv", NULL},
    {"flv", CALM, "-pix_fmt yuv420p", "flv", NULL},
    {"msmpeg4v2", CALM, "-pix_fmt yuv420p", "avi", NULL},
    {"msmpeg4", CALM, "-pix_fmt yuv420p", "avi", NULL},
    {"wmv1", CALM, "-pix_fmt yuv420p", "asf", NULL},
    {"wmv2", CALM, "-pix_fmt yuv420p", "asf", NULL},
    {"rv20", CALM, "-pix_fmt yuv420p", "rm", NULL},
    {"snow", CALM, "-pix_fmt yuv420p -strict -2", "nut", NULL},
    {"svq1", CALM, "-pix_fmt yuv410p", "mov", NULL},
    /* Those that draw into their last picture */
    {"gif", CALM, "-pix_fmt rgb8", "gif", NULL},
    {"gif", "testsrc2=s=33x17:r=10:d=2,split[a][b];[a]palettegen[p];[b][p]paletteuse", "", "gif",
     NULL},
    {"apng", CALM, "-pix_fmt rgba -plays 1", "apng", NULL},
    {"qtrle", CALM, "-pix_fmt rgb24", "mov", NULL},
    {"qtrle", CALM, "-pix_fmt argb", "mov", NULL},
    {"cinepak", CALM, "-pix_fmt rgb24", "avi", NULL},
    {"flashsv", CALM, "-pix_fmt bgr24", "flv", NULL},
    {"flashsv2", CALM, "-pix_fmt bgr24", "flv", NULL},
    {"zmbv", CALM, "-pix_fmt bgr0", "avi", NULL},
    {"msvideo1", CALM, "-pix_fmt rgb555le", "avi", NULL},
    {"rpza", "testsrc=s=128x96:r=25:d=1", "-pix_fmt rgb555be", "mov", NULL},
    {"smc", CALM, "-pix_fmt pal8", "mov", NULL},
    {"roqvideo", "testsrc=s=128x64:r=30:d=1", "-pix_fmt yuvj444p", "roq", NULL},
    {"huffyuv", SMALL, "-pix_fmt yuv422p", "avi", NULL},
    {"magicyuv", ODD, "-pix_fmt gbrap", "mkv", "size or lines differ"},
    {"utvideo", SMALL, "-pix_fmt yuv420p", "avi", NULL},
    /* Each picture by itself */
    {"prores_ks", SMALL, "-pix_fmt yuv422p10le", "mov", NULL},
    {"prores_ks", ODD, "-pix_fmt yuva444p10le -profile:v 4444", "mov", NULL},
    {"ffv1", ODD, "-pix_fmt yuv420p", "mkv", NULL},
    {"ffv1", ODD, "-pix_fmt gbrp12le -level 3", "mkv", NULL},
    {"ffv1", ODD, "-pix_fmt yuva422p10le -level 3", "nut", NULL},
    {"ffv1", ONE, "-pix_fmt bgr0", "mkv", NULL},
    {"ffvhuff", ODD, "-pix_fmt yuv444p16le", "mkv", NULL},
    {"mjpeg", ODD, "-pix_fmt yuvj420p", "avi", NULL},
    {"mjpeg", SMALL, "-pix_fmt yuvj444p", "mkv", NULL},
    {"png", ODD, "-pix_fmt rgba", "mkv", NULL},
    {"png", ODD, "-pix_fmt pal8", "mkv", NULL},
    {"png", ONE, "-pix_fmt gray16be", "mkv", NULL},
    {"png", ODD, "-pix_fmt monob", "mkv", NULL},
    {"rawvideo", ODD, "-pix_fmt yuv420p", "nut", NULL},
    {"rawvideo", ODD, "-pix_fmt bgr24", "avi", NULL},
    {"rawvideo", ODD, "-pix_fmt pal8", "avi", NULL},
    {"dvvideo", "testsrc2=s=720x576:r=25:d=0.2", "-pix_fmt yuv420p", "avi", NULL},
    {"dnxhd", "testsrc2=s=1920x1080:r=25:d=0.2", "-pix_fmt yuv422p -b:v 120M", "mov", NULL},
    {"cfhd", "testsrc2=s=128x96:r=25:d=1", "-pix_fmt yuv422p10le", "mov", NULL},
    {"jpeg2000", ODD, "-pix_fmt yuv444p", "mkv", NULL},
    {"ljpeg", ODD, "-pix_fmt bgr24 -strict -1", "mkv", NULL},
    {"asv1", SMALL, "-pix_fmt yuv420p", "avi", NULL},
    {"v210", ODD, "-pix_fmt yuv422p10le", "mov", NULL},
    {"v410", ODD, "-pix_fmt yuv444p10le", "mov", NULL},
    {"libwebp", ODD, "-frames:v 1 -pix_fmt bgra", "webp", NULL},
    {"tiff", ODD, "-frames:v 1 -pix_fmt rgb48le", "tiff", NULL},
    {"bmp", ODD, "-frames:v 1 -pix_fmt bgr24", "bmp", NULL},
};
enum { PICTURES = sizeof(pictures) / sizeof(pictures[0]) };

#define STEREO "aevalsrc=0.3*sin(2764*t)|0.2*sin(1966*t)+0.1*random(1):d=1.3:s="
#define MANY                                                                                       \
    "aevalsrc=0.3*sin(2764*t)|0.2*sin(1966*t)|0.1*random(1)|0.3*cos(99*t)|0.1*sin(7000*t)|0.2*"    \
    "random(2):c=5.1:d=1.3:s="

/* Frames of more than a thirtieth of a second are cut. */
#define LONG "parts of longer blocks of the decoder"

static const struct row sounds[] = {
    {"aac", STEREO "48000", "", "m4a", NULL},
    {"aac", MANY "44100", "", "mkv", NULL},
    {"aac", STEREO "8000", "", "ts", LONG},
    {"libopus", STEREO "48000", "", "opus", NULL},
    {"libopus", MANY "48000", "-frame_duration 60", "mka", LONG},
    {"libopus", STEREO "48000", "-frame_duration 2.5 -application lowdelay", "mka", NULL},
    {"flac", STEREO "44100", "", "flac", LONG},
    {"flac", MANY "96000", "-sample_fmt s32", "mka", LONG},
    {"libmp3lame", STEREO "44100", "", "mp3", NULL},
    {"libmp3lame", STEREO "16000", "", "mp4", LONG},
    {"mp2", STEREO "32000", "", "mp2", LONG},
    {"libvorbis", STEREO "44100", "", "ogg", NULL},
    {"libvorbis", MANY "48000", "", "mka", NULL},
    {"ac3", MANY "48000", "", "ac3", NULL},
    {"eac3", STEREO "32000", "", "mkv", LONG},
    {"dca", MANY "48000", "-strict -2", "mka", NULL},
    {"truehd", STEREO "48000", "-strict -2", "mka", NULL},
    {"alac", STEREO "44100", "", "m4a", LONG},
    {"alac", STEREO "48000", "-sample_fmt s32p", "m4a", LONG},
    {"wavpack", STEREO "48000", "", "mka", LONG},
    {"tta", STEREO "22050", "", "tta", LONG},
    {"wmav2", STEREO "44100", "", "asf", LONG},
    {"libspeex", "aevalsrc=0.3*sin(2764*t):d=1.3:s=16000", "", "ogg", NULL},
    {"libgsm", "aevalsrc=0.3*sin(2764*t):d=1.3:s=8000", "", "gsm", NULL},
    {"g722", "aevalsrc=0.3*sin(2764*t):d=1.3:s=16000", "", "wav", LONG},
    {"adpcm_ms", STEREO "22050", "", "wav", LONG},
    {"adpcm_ima_wav", STEREO "44100", "", "wav", NULL},
    {"pcm_s16le", STEREO "48000", "", "wav", NULL},
    {"pcm_s24le", MANY "48000", "", "wav", NULL},
    {"pcm_u8", STEREO "11025", "", "wav", LONG},
    {"pcm_f32le", STEREO "192000", "", "mka", NULL},
    {"pcm_f64be", STEREO "48000", "", "mov", NULL},
    {"pcm_s16be", STEREO "44100", "", "aiff", NULL},
    {"pcm_alaw", "aevalsrc=0.3*sin(2764*t):d=1.3:s=8000", "", "wav", LONG},
    {"pcm_s16le_planar", STEREO "48000", "", "nut", NULL},
    {"pcm_bluray", MANY "48000", "", "m2ts", NULL},
};
enum { SOUNDS = sizeof(sounds) / sizeof(sounds[0]) };

static struct reference reference;

/* Of each encoder the first row, unless all are asked for. */
static bool is_asked_for(const struct row *rows, int number) {
    return getenv("SHMFRAME_TEST_ALL") || number == 0 ||
           strcmp(rows[number].encoder, rows[number - 1].encoder) != 0;
}

/* --- Clips ------------------------------------------------------------------------------------ */

/* Debian 12's FFmpeg makes them all; another one says which it cannot. */
static bool can_make(const struct row *row) {
    if (clip_can_encode(row->encoder))
        return true;
    char line[64];
    bool is_debian = false, is_12 = false;
    FILE *file = fopen("/etc/os-release", "r");
    while (file && fgets(line, sizeof(line), file)) {
        is_debian |= !strcmp(line, "ID=debian\n");
        is_12 |= !strcmp(line, "VERSION_ID=\"12\"\n");
    }
    if (file)
        fclose(file);
    ck_assert_msg(!is_debian || !is_12, "no encoder %s", row->encoder);
    printf("skipped: this FFmpeg has no encoder %s\n", row->encoder);
    return false;
}

static void make_clip(const struct row *row, char kind) {
    char text[1024];
    snprintf(text, sizeof(text), "-f lavfi -i %s -c:%c %s %s -threads 1 %s", row->source, kind,
             row->encoder, row->arguments, rig_name_clip(row->ending));
    reference_run(text);
}

/* The decoder that plays the clip. */
static const AVCodec *find_decoder(enum AVMediaType type) {
    AVFormatContext *file = NULL;
    const AVCodec *codec = NULL;
    ck_assert_int_ge(avformat_open_input(&file, rig_clip_path, NULL, NULL), 0);
    ck_assert_int_ge(avformat_find_stream_info(file, NULL), 0);
    ck_assert_int_ge(av_find_best_stream(file, type, -1, -1, &codec, 0), 0);
    avformat_close_input(&file);
    return codec;
}

/* --- Reading ---------------------------------------------------------------------------------- */

enum { LEASES = 6 };

/* A frame that is read, and what was in it when it came. */
struct held {
    AVFrame *frame;
    uint8_t sum[REFERENCE_SUM_BYTES];
};

static void let_go(struct held *held) {
    if (!held->frame)
        return;
    uint32_t bytes;
    uint8_t sum[REFERENCE_SUM_BYTES], *packed = reference_pack(held->frame, &bytes);
    reference_sum(packed, bytes, sum);
    ck_assert_msg(!memcmp(sum, held->sum, sizeof(sum)), "a frame changed while it was read");
    free(packed);
    av_frame_free(&held->frame);
}

/* A frame losslessly, or false at the end. It is held on to until LEASES - 1 more have come; the
 * first one until the end. `out_packed` is to be freed. */
static bool read_frame(struct shmframe_reader *reader, struct held held[LEASES], int number,
                       uint8_t **out_packed, uint32_t *out_bytes) {
    struct held *place = &held[number ? 1 + number % (LEASES - 1) : 0];
    let_go(place);
    struct shmframe_lease lease;
    const int result =
        shmframe_reader_acquire(reader, shmframe_deadline_ns(20 * SECOND_NS), &lease);
    if (result == -ENODATA) {
        for (int i = 0; i < LEASES; i++)
            let_go(&held[i]);
        return false;
    }
    ck_assert_msg(result == 0, "%s: %s", strerror(-result), rig_read_said());
    ck_assert_uint_eq(lease.lost, 0);
    ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &place->frame), 0);
    *out_packed = reference_pack(place->frame, out_bytes);
    reference_sum(*out_packed, *out_bytes, place->sum);
    return true;
}

/* Where the frames were made, by the statistics. */
static void check_place(const struct row *row, const AVCodec *decoder, const char *stream,
                        int64_t frames) {
    const int64_t in_place = rig_read_figure(stream, "in_place");
    const int64_t copied = rig_read_figure(stream, "copied");
    ck_assert_int_eq(in_place + copied, frames);
    if (!(decoder->capabilities & AV_CODEC_CAP_DR1)) {
        ck_assert_int_eq(in_place, 0);
        ck_assert_ptr_nonnull(strstr(rig_read_said(), "the decoder takes no buffers from outside"));
    } else if (row->copied) {
        ck_assert_int_gt(copied, 0);
        ck_assert_msg(strstr(rig_read_said(), row->copied), "%s", rig_read_said());
    } else {
        ck_assert_msg(copied == 0, "%s %s: %s", row->encoder, row->arguments, rig_read_said());
    }
}

START_TEST(every_picture_is_as_framemd5_says) {
    const struct row *row = &pictures[_i];
    if (!can_make(row))
        return;
    make_clip(row, 'v');
    reference_read(rig_clip_path, "rawvideo", &reference);
    ck_assert_int_gt(reference.frames, 0);
    const pid_t pid = MEDIA(UNPACED);
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, LEASES);
    struct held held[LEASES] = {0};
    uint8_t *packed;
    uint32_t bytes;
    int number = 0;
    for (; read_frame(reader, held, number, &packed, &bytes); number++) {
        const struct held *newest = &held[number ? 1 + number % (LEASES - 1) : 0];
        const struct reference_frame *expected = &reference.frame[number];
        ck_assert_msg(number < reference.frames, "more than %d", reference.frames);
        ck_assert_msg(bytes == expected->bytes && !memcmp(newest->sum, expected->sum, 16),
                      "picture %d of %s %s differs: %u bytes of %u", number, row->encoder,
                      row->arguments, bytes, expected->bytes);
        ck_assert_msg(av_compare_ts(newest->frame->pts, newest->frame->time_base, expected->pts,
                                    reference.unit) == 0,
                      "%s: pts %jd of picture %d is %jd", row->encoder, (intmax_t)expected->pts,
                      number, (intmax_t)newest->frame->pts);
        free(packed);
    }
    ck_assert_msg(number == reference.frames, "%s: %d of %d", row->encoder, number,
                  reference.frames);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
    check_place(row, find_decoder(AVMEDIA_TYPE_VIDEO), "media", number);
}
END_TEST

/* Blocks are other than the decoder's frames: what has come is compared frame by frame. */
struct joined {
    uint8_t *bytes;
    uint32_t count, checked;
    int frames;
};

static void check_joined(struct joined *joined, const struct row *row) {
    for (; joined->frames < reference.frames; joined->frames++) {
        const struct reference_frame *expected = &reference.frame[joined->frames];
        uint8_t sum[REFERENCE_SUM_BYTES];
        if (joined->count - joined->checked < expected->bytes)
            return;
        reference_sum(joined->bytes + joined->checked, expected->bytes, sum);
        ck_assert_msg(!memcmp(sum, expected->sum, sizeof(sum)), "frame %d of %s %s differs",
                      joined->frames, row->encoder, row->arguments);
        joined->checked += expected->bytes;
    }
}

/* A block that begins where a frame does has its time. */
static void check_time(const struct joined *joined, const AVFrame *block, const struct row *row) {
    if (joined->count != joined->checked || joined->frames >= reference.frames)
        return;
    const struct reference_frame *expected = &reference.frame[joined->frames];
    const AVRational ns = {1, SECOND_NS};
    const int64_t tolerance_ns =
        av_rescale_q(1, block->time_base, ns) + SECOND_NS / block->sample_rate;
    const int64_t off_ns = av_rescale_q(block->pts, block->time_base, ns) -
                           av_rescale_q(expected->pts, reference.unit, ns);
    ck_assert_msg(llabs(off_ns) <= tolerance_ns, "%s %s: frame %d is off by %jd ns", row->encoder,
                  row->arguments, joined->frames, (intmax_t)off_ns);
}

START_TEST(every_sample_is_as_framemd5_says) {
    const struct row *row = &sounds[_i];
    if (!can_make(row))
        return;
    make_clip(row, 'a');
    const pid_t pid = MEDIA(UNPACED);
    struct shmframe_reader *reader = rig_open_reader("media.sound", SHMFRAME_LOSSLESS, LEASES);
    struct held held[LEASES] = {0};
    struct joined joined = {0};
    uint8_t *packed;
    uint32_t bytes;
    int number = 0;
    for (; read_frame(reader, held, number, &packed, &bytes); number++) {
        const AVFrame *block = held[number ? 1 + number % (LEASES - 1) : 0].frame;
        if (number == 0)
            reference_read(rig_clip_path, reference_name_pcm(block->format), &reference);
        check_time(&joined, block, row);
        joined.bytes = realloc(joined.bytes, joined.count + bytes);
        memcpy(joined.bytes + joined.count, packed, bytes);
        joined.count += bytes;
        free(packed);
        check_joined(&joined, row);
    }
    ck_assert_msg(joined.frames == reference.frames && joined.count == joined.checked,
                  "%s %s: %d of %d frames, %u bytes more", row->encoder, row->arguments,
                  joined.frames, reference.frames, joined.count - joined.checked);
    free(joined.bytes);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
    check_place(row, find_decoder(AVMEDIA_TYPE_AUDIO), "media.sound", number);
}
END_TEST

/* What is not asked for needs no supervisor either. */
static void add_tests(TCase *tests) {
    for (int i = 0; i < PICTURES; i++)
        if (is_asked_for(pictures, i))
            tcase_add_loop_test(tests, every_picture_is_as_framemd5_says, i, i + 1);
    for (int i = 0; i < SOUNDS; i++)
        if (is_asked_for(sounds, i))
            tcase_add_loop_test(tests, every_sample_is_as_framemd5_says, i, i + 1);
}

int main(void) {
    return rig_run("codecs", add_tests);
}
