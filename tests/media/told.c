/* shmframe-media: what a file tells of its frames beside their pixels and samples, and how readers
 * follow when that changes in the middle. */
#include "reference.h"
#include "rig.h"

#include <jansson.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- Side data -------------------------------------------------------------------------------- */

/* How many of a kind were dropped from the stream "media", by the statistics. */
static int64_t read_dropped(const char *kind) {
    const char *json = strstr(rig_read_said(), "{\"seconds\"");
    json_t *report = json ? json_loads(json, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    ck_assert_msg(report, "%s", rig_read_said());
    const json_t *stream = json_array_get(json_object_get(report, "streams"), 0);
    const int64_t count =
        json_integer_value(json_object_get(json_object_get(stream, "side_data_dropped"), kind));
    json_decref(report);
    return count;
}

static const struct clip plain = {
    .picture = "libx264",
    .pixel_format = AV_PIX_FMT_YUV420P,
    .width = 96,
    .height = 64,
    .rate = {25, 1},
    .pictures = 12,
};

static void make(struct clip clip, const char *ending) {
    clip.path = rig_name_clip(ending);
    clip_make(&clip);
}

START_TEST(captions_are_counted_as_dropped) {
    struct clip clip = plain;
    clip.has_captions = true;
    make(clip, "mp4");
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    ck_assert_int_eq(read_dropped("ATSC A53 Part 4 Closed Captions"), 12);
    rig_expect_exit(MEDIA(rig_clip_path, "--unpaced"), 0);
    ck_assert_msg(strstr(rig_read_said(), "media: side data not carried: ") &&
                      strstr(rig_read_said(), "12 x ATSC A53 Part 4 Closed Captions"),
                  "%s", rig_read_said());
}
END_TEST

static void expect_hdr(void) {
    const struct shmframe_hdr *hdr = &rig_seen.picture_format.video.hdr;
    ck_assert_int_eq(
        av_cmp_q((AVRational){hdr->primary_x[2].num, hdr->primary_x[2].den}, (AVRational){3, 8}),
        0);
    ck_assert_int_eq(av_cmp_q((AVRational){hdr->luminance_max.num, hdr->luminance_max.den},
                              (AVRational){1000, 1}),
                     0);
    ck_assert_uint_eq(hdr->content_light_max, 900);
    ck_assert_uint_eq(hdr->frame_average_max, 300);
    ck_assert_int_eq(read_dropped("Mastering display metadata"), 0);
}

START_TEST(hdr_that_the_file_tells_is_in_the_format) {
    struct clip clip = plain;
    clip.picture = "ffv1";
    clip.pixel_format = AV_PIX_FMT_YUV420P10;
    clip.is_hdr = true;
    make(clip, "mkv");
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    expect_hdr();
}
END_TEST

START_TEST(hdr_that_the_pictures_tell_is_in_the_format) {
    char text[512];
    snprintf(text, sizeof(text),
             "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p10le -c:v libx265 "
             "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -x265-params "
             "log-level=none:max-cll=900,300:master-display=G(12500,25000)B(18750,31250)"
             "R(6250,18750)WP(12500,12500)L(10000000,1) %s",
             rig_name_clip("ts"));
    reference_run(text);
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    expect_hdr();
    ck_assert_str_eq(rig_seen.picture_format.video.color_transfer, "smpte2084");
    ck_assert_str_eq(rig_seen.picture_format.video.color_primaries, "bt2020");
}
END_TEST

START_TEST(range_aspect_and_place_of_chroma_are_in_the_format) {
    char text[512];
    snprintf(text, sizeof(text),
             "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4,setsar=16/11 -pix_fmt yuv420p -c:v libx264 "
             "-color_range pc -color_primaries bt709 -color_trc bt709 -colorspace bt709 "
             "-x264-params chromaloc=2 %s",
             rig_name_clip("mp4"));
    reference_run(text);
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    const struct shmframe_video_format *video = &rig_seen.picture_format.video;
    ck_assert_str_eq(video->color_range, "pc");
    ck_assert_str_eq(video->color_space, "bt709");
    ck_assert_str_eq(video->chroma_location, "topleft");
    ck_assert_int_eq(video->sample_aspect.num, 16);
    ck_assert_int_eq(video->sample_aspect.den, 11);
    ck_assert_int_eq(rig_read_figure("media", "copied"), 0);
}
END_TEST

/* --- Changes in the middle -------------------------------------------------------------------- */

/* A clip of the parts, one behind the other. */
static void make_parts(const char *ending, const char *const *arguments) {
    char text[1024], part[100], whole[100];
    snprintf(whole, sizeof(whole), "%s/whole.%s", rig_folder, ending);
    for (int i = 0; arguments[i]; i++) {
        snprintf(part, sizeof(part), "%s/part.%s", rig_folder, ending);
        snprintf(text, sizeof(text), "-f lavfi -i %s %s", arguments[i], part);
        reference_run(text);
        snprintf(text, sizeof(text), "cat '%s' >> '%s'", part, whole);
        ck_assert_int_eq(system(text), 0);
    }
    snprintf(rig_clip_path, sizeof(rig_clip_path), "%s", whole);
}

START_TEST(each_pictures_own_field_order_is_told) {
#define FIELDS(order)                                                                              \
    "testsrc2=s=96x64:r=25:d=0.4 -vf setfield=" order " -pix_fmt yuv420p -c:v libx264 "
    make_parts("h264", (const char *const[]){FIELDS("tff") "-flags +ildct",
                                             FIELDS("bff") "-flags +ildct", FIELDS("prog"), NULL});
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    ck_assert_int_eq(rig_seen.pictures, 30);
    ck_assert_uint_eq(rig_seen.picture_format.video.field_order, SHMFRAME_TOP_FIRST);
    for (int i = 0; i < 30; i++) {
        const uint32_t expected = i < 10   ? SHMFRAME_INTERLACED | SHMFRAME_TOP_FIELD_FIRST
                                  : i < 20 ? SHMFRAME_INTERLACED
                                           : 0;
        ck_assert_msg((rig_seen.picture[i].flags &
                       (SHMFRAME_INTERLACED | SHMFRAME_TOP_FIELD_FIRST)) == expected,
                      "%d: %x", i, rig_seen.picture[i].flags);
    }
    ck_assert_int_eq(rig_read_figure("media", "generation"), 1);
}
END_TEST

static const struct {
    const char *ending;
    const char *parts[4];
    bool is_sound;
} changes[] = {
    /* pixel format, aspect and colours */
    {"h264",
     {"testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264",
      "testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv422p10le -c:v libx264", NULL},
     false},
    {"h264",
     {"testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264",
      "testsrc2=s=96x64:r=25:d=0.4,setsar=4/3 -pix_fmt yuv420p -colorspace bt709 -c:v libx264",
      NULL},
     false},
    {"h264",
     {"testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264",
      "testsrc2=s=178x98:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264",
      "testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264", NULL},
     false},
    /* rate and channels */
    {"aac", {"sine=d=3:r=48000 -c:a aac -ac 2", "sine=d=3:r=44100 -c:a aac -ac 1", NULL}, true},
    {"mp2", {"sine=d=3:r=48000 -c:a mp2 -ac 2", "sine=d=3:r=44100 -c:a mp2 -ac 1", NULL}, true},
    {"ac3", {"sine=d=3:r=48000 -c:a ac3 -ac 6", "sine=d=3:r=48000 -c:a ac3 -ac 2", NULL}, true},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

START_TEST(a_change_of_the_format_is_followed) {
    static struct clip_truth truth;
    int parts = 0;
    while (changes[_i].parts[parts])
        parts++;
    make_parts(changes[_i].ending, changes[_i].parts);
    clip_decode(rig_clip_path, &truth);
    const bool is_sound = changes[_i].is_sound;
    rig_watch_all(MEDIA(UNPACED), !is_sound, is_sound, 0);
    ck_assert_int_eq(rig_seen.pictures, truth.pictures);
    for (int i = 0; i < rig_seen.pictures; i++)
        ck_assert_uint_eq(rig_seen.picture[i].sum, truth.picture[i].sum);
    ck_assert_uint_eq(rig_seen.sound.samples, truth.sound.samples);
    ck_assert(clip_is_same_sound(&rig_seen.sound, &truth.sound));
    const char *stream = is_sound ? "media.sound" : "media";
    /* More, where FFmpeg itself tells the new rate one frame late. */
    ck_assert_int_ge(rig_read_figure(stream, "generation"), parts);
    ck_assert_int_gt(rig_read_figure(stream, "in_place"), 0);
}
END_TEST

/* --- What cannot be played -------------------------------------------------------------------- */

#define KEY "76a6c65c5ea762046bd749a2e632ccbb"

START_TEST(an_encrypted_file_asks_for_its_key) {
    char text[512];
    snprintf(text, sizeof(text),
             "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264 "
             "-encryption_scheme cenc-aes-ctr -encryption_key " KEY
             " -encryption_kid a7e61c373e219033c21091fa607bf3b8 %s",
             rig_name_clip("mp4"));
    reference_run(text);
    rig_expect_exit(MEDIA(UNPACED), 1);
    rig_expect_complaint("it is encrypted; if you have its key, --input-option decryption_key=HEX");
    rig_watch_all(MEDIA(UNPACED, "--input-option", "decryption_key=" KEY), true, false, 0);
    ck_assert_int_eq(rig_seen.pictures, 10);
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_test(tests, captions_are_counted_as_dropped);
    tcase_add_test(tests, hdr_that_the_file_tells_is_in_the_format);
    tcase_add_test(tests, hdr_that_the_pictures_tell_is_in_the_format);
    tcase_add_test(tests, range_aspect_and_place_of_chroma_are_in_the_format);
    tcase_add_test(tests, each_pictures_own_field_order_is_told);
    tcase_add_loop_test(tests, a_change_of_the_format_is_followed, 0, CHANGES);
    tcase_add_test(tests, an_encrypted_file_asks_for_its_key);
}

int main(void) {
    return rig_run("told", add_tests);
}
