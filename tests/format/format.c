/* Formats: geometry against libavutil's own arithmetic, and what is refused. */
#include "format.h"

#include <check.h>
#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <shmframe/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t sizes[][2] = {{1, 1},       {2, 2},         {3, 5},        {7, 1},
                                    {1, 9},       {17, 33},       {641, 479},    {854, 480},
                                    {1921, 1079}, {4096, 1},      {1, 4096},     {16384, 2},
                                    {2, 16384},   {16383, 16381}, {16384, 16384}};
#define SIZES (sizeof sizes / sizeof sizes[0])

static bool is_software(enum AVPixelFormat pixel_format) {
    return !(av_pix_fmt_desc_get(pixel_format)->flags & AV_PIX_FMT_FLAG_HWACCEL);
}

static enum AVPixelFormat next_pixel_format(enum AVPixelFormat pixel_format) {
    const AVPixFmtDescriptor *const now = av_pix_fmt_desc_get(pixel_format);
    return av_pix_fmt_desc_get_id(av_pix_fmt_desc_next(now));
}

/* The sum of all planes, their lines aligned, as libavutil has it; 0 when that is 4 GiB or more. */
static uint64_t picture_bytes(enum AVPixelFormat pixel_format, uint32_t width, uint32_t height) {
    int lines[4];
    ptrdiff_t aligned[4];
    size_t bytes[4];
    ck_assert_int_ge(av_image_fill_linesizes(lines, pixel_format, (int)width), 0);
    for (int i = 0; i < 4; i++)
        aligned[i] = (lines[i] + 63) / 64 * 64;
    ck_assert_int_ge(av_image_fill_plane_sizes(bytes, pixel_format, (int)height, aligned), 0);
    return (uint64_t)bytes[0] + bytes[1] + bytes[2] + bytes[3];
}

static void assert_geometry(const struct shmframe_format *format) {
    uint64_t end = 0;
    ck_assert_uint_ge(format->plane_count, 1);
    ck_assert_uint_eq(format->slot_bytes % 64, 0);
    for (uint32_t i = 0; i < format->plane_count; i++) {
        const struct shmframe_plane *const plane = &format->plane[i];
        ck_assert_uint_eq(plane->offset % 64, 0);
        ck_assert_uint_eq(plane->line_bytes % 64, 0);
        ck_assert_uint_ge(plane->offset, end);
        ck_assert_uint_le(plane->row_bytes, plane->line_bytes);
        end = plane->offset + (uint64_t)plane->line_bytes * plane->rows + SHMFRAME_TAIL_BYTES;
    }
    ck_assert_uint_le(end, format->slot_bytes);
    ck_assert_uint_lt(format->slot_bytes, UINT64_C(1) << 32);
}

START_TEST(every_software_pixel_format_has_libavutils_geometry) {
    int formats = 0;
    for (enum AVPixelFormat p = next_pixel_format(AV_PIX_FMT_NONE); p != AV_PIX_FMT_NONE;
         p = next_pixel_format(p)) {
        if (!is_software(p))
            continue;
        formats++;
        for (size_t s = 0; s < SIZES; s++) {
            const uint32_t width = sizes[s][0], height = sizes[s][1];
            const uint64_t expected = picture_bytes(p, width, height);
            struct shmframe_format format;
            const int result =
                shmframe_format_video(&format, av_get_pix_fmt_name(p), width, height);
            if (expected + 4 * 128 >= UINT64_C(1) << 32) {
                ck_assert_int_eq(result, -ENOTSUP);
                continue;
            }
            ck_assert_msg(result == 0, "%s: %s", av_get_pix_fmt_name(p), shmframe_last_error());
            ck_assert_int_eq(format_check(&format), 0);
            assert_geometry(&format);
            uint64_t bytes = 0;
            int lines[4];
            av_image_fill_linesizes(lines, p, (int)width);
            for (uint32_t i = 0; i < format.plane_count; i++) {
                const struct shmframe_plane *const plane = &format.plane[i];
                const bool is_palette = lines[i] == 0;
                ck_assert_uint_eq(plane->row_bytes, is_palette ? 1024 : (uint32_t)lines[i]);
                bytes += is_palette ? 1024 : (uint64_t)plane->line_bytes * plane->rows;
            }
            ck_assert_uint_eq(bytes, expected);
            const int whole = av_image_get_buffer_size(p, (int)width, (int)height, 64);
            ck_assert(whole < 0 || bytes == (uint64_t)whole);
        }
    }
    ck_assert_int_gt(formats, 150);
}
END_TEST

START_TEST(every_hardware_pixel_format_is_refused) {
    int formats = 0;
    for (enum AVPixelFormat p = next_pixel_format(AV_PIX_FMT_NONE); p != AV_PIX_FMT_NONE;
         p = next_pixel_format(p)) {
        if (!is_software(p)) {
            struct shmframe_format format;
            ck_assert_int_eq(shmframe_format_video(&format, av_get_pix_fmt_name(p), 64, 64),
                             -ENOTSUP);
            formats++;
        }
    }
    ck_assert_int_gt(formats, 5);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "hardware"));
}
END_TEST

START_TEST(chroma_rows_of_odd_pictures_round_up) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 5, 7), 0);
    ck_assert_uint_eq(format.plane_count, 3);
    ck_assert_uint_eq(format.plane[0].rows, 7);
    ck_assert_uint_eq(format.plane[1].rows, 4);
    ck_assert_uint_eq(format.plane[1].row_bytes, 3);
    ck_assert_uint_eq(format.plane[2].offset, format.plane[1].offset + 4 * 64 + 64);
}
END_TEST

START_TEST(every_sample_format_and_channel_count_has_libavutils_size) {
    for (enum AVSampleFormat s = 0; s < AV_SAMPLE_FMT_NB; s++) {
        for (uint32_t channels = 1; channels <= SHMFRAME_CHANNELS_MAX; channels++) {
            static const uint32_t samples[] = {1, 3, 1024, 48000};
            for (size_t i = 0; i < 4; i++) {
                struct shmframe_format format;
                ck_assert_int_eq(shmframe_format_audio(&format, av_get_sample_fmt_name(s), channels,
                                                       44100, samples[i]),
                                 0);
                ck_assert_int_eq(format_check(&format), 0);
                assert_geometry(&format);
                const bool is_planar = av_sample_fmt_is_planar(s);
                ck_assert_uint_eq(format.plane_count, is_planar ? channels : 1);
                int line;
                av_samples_get_buffer_size(&line, (int)channels, (int)samples[i], s, 1);
                for (uint32_t p = 0; p < format.plane_count; p++) {
                    ck_assert_uint_eq(format.plane[p].row_bytes, (uint32_t)line);
                    ck_assert_uint_eq(format.plane[p].rows, 1);
                }
            }
        }
    }
}
END_TEST

START_TEST(data_reach_from_a_byte_to_a_gibibyte) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "loudness/1", 1), 0);
    assert_geometry(&format);
    ck_assert_int_eq(shmframe_format_data(&format, NULL, SHMFRAME_DATA_MAX), 0);
    assert_geometry(&format);
    ck_assert_uint_eq(format.plane[0].row_bytes, SHMFRAME_DATA_MAX);
    ck_assert_int_eq(shmframe_format_data(&format, "x", 0), -EINVAL);
    ck_assert_int_eq(shmframe_format_data(&format, "x", SHMFRAME_DATA_MAX + 1), -EINVAL);
    ck_assert_int_eq(shmframe_format_data(&format, "a\nb", 1), -EINVAL);
    char type[100];
    memset(type, 'a', sizeof type);
    type[99] = 0;
    ck_assert_int_eq(shmframe_format_data(&format, type, 1), -EINVAL);
    type[sizeof format.data.type - 1] = 0;
    ck_assert_int_eq(shmframe_format_data(&format, type, 1), 0);
}
END_TEST

START_TEST(descriptions_out_of_range_are_refused) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 0, 1), -EINVAL);
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 1, 0), -EINVAL);
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 16385, 1), -EINVAL);
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 1, UINT32_MAX), -EINVAL);
    ck_assert_int_eq(shmframe_format_video(&format, "no such format", 1, 1), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_video(&format, NULL, 1, 1), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_video(&format, "rgba64le", 16384, 16384), 0);
    ck_assert_int_eq(shmframe_format_video(&format, "gbrapf32le", 16384, 16384), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 0, 48000, 1), -EINVAL);
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 65, 48000, 1), -EINVAL);
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 1, 0, 1), -EINVAL);
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 1, 48000, 0), -EINVAL);
    ck_assert_int_eq(shmframe_format_audio(&format, "float", 1, 48000, 1), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_audio(&format, NULL, 1, 48000, 1), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_audio(&format, "dbl", 64, 48000, UINT32_MAX), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_audio(&format, "dblp", 64, 48000, 1 << 27), -ENOTSUP);
}
END_TEST

static struct shmframe_format make_video(void) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 640, 360), 0);
    return format;
}

START_TEST(crop_moves_each_plane_to_its_first_visible_byte) {
    struct shmframe_format format = make_video();
    format.video.coded_width = 672;
    format.video.coded_height = 384;
    format.video.crop_left = 16;
    format.video.crop_top = 6;
    format.plane_count = 0;
    ck_assert_int_eq(shmframe_format_complete(&format), 0);
    ck_assert_int_eq(format_check(&format), 0);
    ck_assert_uint_eq(format.plane[0].line_bytes, 704);
    ck_assert_uint_eq(format.plane[0].offset, 6 * 704 + 16);
    ck_assert_uint_eq(format.plane[1].line_bytes, 384);
    ck_assert_uint_eq(format.plane[1].offset, 384 * 704 + 64 + 3 * 384 + 8);
    ck_assert_uint_eq(format.plane[1].rows, 180);
    ck_assert_uint_ge(format.slot_bytes, 384 * 704 + 2 * 192 * 384 + 3 * 64);

    format.video.crop_left = 15;
    format.plane_count = 0;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "multiples of 2 and 2"));
    format.video.crop_left = 34;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
    format.video.crop_left = UINT32_MAX - 638;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
    format.video.crop_left = 0;
    /* Top and height together are 0 in 32 bits. */
    format.video.crop_top = UINT32_MAX - format.video.height + 1;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "do not lie within"));
    format.video.crop_top = 0;
    format.video.coded_width = SHMFRAME_CODED_SIDE_MAX + 1;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
}
END_TEST

START_TEST(crop_of_packed_bitstream_and_bayer_pictures_keeps_whole_units) {
    static const struct {
        const char *pixel_format;
        uint32_t bad_left, good_left, bytes;
    } cases[] = {
        {"monow", 4, 8, 1},        {"yuyv422", 1, 2, 4},   {"rgb24", 0, 3, 9},
        {"bayer_rggb8", 1, 2, 2},  {"nv12", 1, 2, 2},      {"uyyvyy411", 2, 4, 6},
        {"y210le", 1, 2, 8},       {"x2rgb10le", 0, 1, 4}, {"gbrp", 0, 1, 1},
        {"yuva444p16le", 0, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shmframe_format format;
        ck_assert_int_eq(shmframe_format_video(&format, cases[i].pixel_format, 64, 64), 0);
        format.video.coded_width = 128;
        format.plane_count = 0;
        if (cases[i].bad_left) {
            format.video.crop_left = cases[i].bad_left;
            ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
        }
        format.video.crop_left = cases[i].good_left;
        ck_assert_int_eq(shmframe_format_complete(&format), 0);
        ck_assert_uint_eq(format.plane[0].offset, cases[i].bytes);
    }
}
END_TEST

START_TEST(imposed_geometry_is_kept) {
    struct shmframe_format format = make_video();
    format.plane[0] = (struct shmframe_plane){.offset = 4096, .line_bytes = 700};
    format.plane[1] = (struct shmframe_plane){.offset = 4096 + 700 * 360, .line_bytes = 320};
    format.plane[2] = (struct shmframe_plane){.offset = 0, .line_bytes = 320};
    format.slot_bytes = 1 << 20;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL); /* plane 2 runs into plane 0 */
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "overlap"));
    ck_assert_uint_eq(format.plane[0].rows, 0);
    format.plane[2].offset = 500000;
    ck_assert_int_eq(shmframe_format_complete(&format), 0);
    ck_assert_uint_eq(format.plane[0].line_bytes, 700);
    ck_assert_uint_eq(format.plane[0].rows, 360);
    ck_assert_uint_eq(format.plane[2].offset, 500000);
    ck_assert_uint_eq(format.plane[2].row_bytes, 320);
    ck_assert_uint_eq(format.slot_bytes, 1 << 20);
    ck_assert_int_eq(format_check(&format), 0);
}
END_TEST

START_TEST(chroma_planes_may_share_their_lines) {
    struct shmframe_format format = make_video();
    format.plane[1].line_bytes = format.plane[2].line_bytes = 640;
    format.plane[2].offset = format.plane[1].offset + 320;
    ck_assert_int_eq(shmframe_format_complete(&format), 0);
    format.plane[2].offset = format.plane[1].offset + 319;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
    format.plane[2].offset = format.plane[1].offset + 321;
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
}
END_TEST

START_TEST(imposed_geometry_that_does_not_hold_is_refused) {
    const struct shmframe_format good = make_video();
    struct shmframe_format format;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        format = good;                                                                             \
        change;                                                                                    \
        const struct shmframe_format before = format;                                              \
        ck_assert_int_eq(format_check(&format), -EINVAL);                                          \
        ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);                              \
        ck_assert_mem_eq(&before, &format, sizeof format);                                         \
    } while (0)
    REFUSED(format.plane_count = 2);
    REFUSED(format.plane_count = UINT32_MAX);
    REFUSED(format.slot_bytes = UINT64_C(1) << 32);
    REFUSED(format.slot_bytes = UINT64_MAX);
    REFUSED(format.slot_bytes = format.plane[2].offset + 320 * 180 + 63);
    REFUSED(format.plane[0].offset = UINT64_MAX);
    REFUSED(format.plane[0].offset = format.slot_bytes);
    REFUSED(format.plane[0].line_bytes = 639);
    REFUSED(format.plane[0].line_bytes = UINT32_MAX);
    REFUSED(format.plane[1].line_bytes = 1u << 31);
    REFUSED(format.plane[0].row_bytes = 641);
    REFUSED(format.plane[0].rows = 361);
    REFUSED(format.plane[2].rows = 0);
    REFUSED(format.plane[1].offset = format.plane[0].offset);
    REFUSED(format.plane[1].reserved = 1);
    REFUSED(format.video.crop_left = 2);
    REFUSED((format.video.coded_width = 704, format.video.coded_height = 400));
    REFUSED((format.video.coded_height = 362, format.video.crop_top = 2));
    REFUSED(format.video.rotation_degrees = 45);
    REFUSED(format.video.field_order = 3);
    REFUSED(format.video.frame_rate.den = -1);
    REFUSED(format.video.sample_aspect.num = -1);
    REFUSED(format.time_base.num = 0);
    REFUSED(format.time_base.den = INT32_MIN);
    REFUSED((format.video.hdr.white_x.num = 1));
    REFUSED(format.audio.channels = 2);
    REFUSED(format.data.bytes_max = 2);
    REFUSED(format.kind = SHMFRAME_NONE);
    REFUSED(format.kind = 77);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "none of enum shmframe_kind"));
    REFUSED(memset(format.video.color_space, 'a', sizeof format.video.color_space));
    REFUSED(memcpy(format.video.color_range, "t\001", 3));
}
END_TEST

START_TEST(a_reserved_word_must_be_zero) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 2, 48000, 480), 0);
    format.audio.reserved = 1;
    ck_assert_int_eq(format_check(&format), -EINVAL);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "reserved"));
}
END_TEST

START_TEST(a_check_of_a_peers_format_wants_it_in_full) {
    struct shmframe_format format = make_video();
    memcpy(format.video.pixel_format, "yuv420p\0x", 9);
    ck_assert_int_eq(format_check(&format), -EINVAL);
    ck_assert_int_eq(shmframe_format_complete(&format), 0); /* pads it */
    ck_assert_int_eq(format_check(&format), 0);
    format.video.frame_rate.den = 0;
    ck_assert_int_eq(format_check(&format), -EINVAL);
    format.plane_count = 0;
    format.video.frame_rate.den = 1;
    ck_assert_int_eq(format_check(&format), -EINVAL);
    format = make_video();
    format.plane[40].offset = 1;
    ck_assert_int_eq(format_check(&format), -EINVAL);
}
END_TEST

START_TEST(names_of_colours_and_layouts_are_checked_where_they_are_set) {
    struct shmframe_format format = make_video();
    strcpy(format.video.color_space, "bt.709");
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "video.color_space"));
    ck_assert_int_eq(format_check(&format), 0); /* a newer FFmpeg may know it */
    strcpy(format.video.color_space, "bt709");
    ck_assert_int_eq(shmframe_format_complete(&format), 0);

    ck_assert_int_eq(shmframe_format_audio(&format, "s16", 6, 48000, 1024), 0);
    ck_assert_str_eq(format.audio.channel_layout, "5.1");
    strcpy(format.audio.channel_layout, "stereo");
    ck_assert_int_eq(shmframe_format_complete(&format), -EINVAL);
    strcpy(format.audio.channel_layout, "hexagonal");
    ck_assert_int_eq(shmframe_format_complete(&format), 0);
    ck_assert_int_eq(shmframe_format_audio(&format, "s16", 37, 48000, 1024), 0);
    ck_assert_str_eq(format.audio.channel_layout, "");
}
END_TEST

START_TEST(every_name_of_libavutil_fits_its_field) {
    const struct shmframe_video_format *const v = NULL;
#define FITS(count, name_of, field)                                                                \
    for (int i = 0; i < (count); i++) {                                                            \
        const char *const name = name_of(i);                                                       \
        ck_assert_msg(!name || strlen(name) < sizeof v->field, "%s", name);                        \
    }
    FITS(AVCOL_RANGE_NB, av_color_range_name, color_range)
    FITS(AVCOL_PRI_NB, av_color_primaries_name, color_primaries)
    FITS(AVCOL_TRC_NB, av_color_transfer_name, color_transfer)
    FITS(AVCOL_SPC_NB, av_color_space_name, color_space)
    FITS(AVCHROMA_LOC_NB, av_chroma_location_name, chroma_location)
}
END_TEST

START_TEST(other_names_of_a_pixel_format_become_its_usual_one) {
    struct shmframe_format format, usual;
    ck_assert_int_eq(shmframe_format_video(&format, "gray16", 8, 8), 0);
    ck_assert_str_eq(format.video.pixel_format, av_get_pix_fmt_name(AV_PIX_FMT_GRAY16));
    usual = format;
    memset(format.video.pixel_format, 0, sizeof format.video.pixel_format);
    strcpy(format.video.pixel_format, "gray16");
    ck_assert(shmframe_format_is_equal(&format, &usual));
}
END_TEST

START_TEST(formats_are_equal_only_if_all_is) {
    const struct shmframe_format a = make_video();
    struct shmframe_format b = a;
    ck_assert(shmframe_format_is_equal(&a, &b));
    b.video.frame_rate.num = 25;
    ck_assert(!shmframe_format_is_equal(&a, &b));
    b = a;
    b.plane[2].offset += 64;
    ck_assert(!shmframe_format_is_equal(&a, &b));
    b = a;
    b.time_base = (struct shmframe_rational){0, 0};
    ck_assert(shmframe_format_is_equal(&a, &b));
}
END_TEST

START_TEST(a_description_is_cut_and_terminated) {
    struct shmframe_format format = make_video();
    char text[128];
    format.video.frame_rate = (struct shmframe_rational){30000, 1001};
    ck_assert_uint_eq(shmframe_format_describe(&format, text, sizeof text), strlen(text));
    ck_assert_str_eq(text, "640x360 yuv420p 29.97 fps");
    ck_assert_uint_eq(shmframe_format_describe(&format, text, 8), 25);
    ck_assert_str_eq(text, "640x360");
    ck_assert_uint_eq(shmframe_format_describe(&format, NULL, 0), 25);
    ck_assert_int_eq(shmframe_format_audio(&format, "fltp", 2, 48000, 1024), 0);
    shmframe_format_describe(&format, text, sizeof text);
    ck_assert_str_eq(text, "48000 Hz stereo fltp, up to 1024 samples");
    memset(&format, 0xff, sizeof format);
    shmframe_format_describe(&format, text, sizeof text);
    for (uint32_t kind = 0; kind < 4; kind++) {
        format.kind = kind;
        shmframe_format_describe(&format, text, sizeof text);
        ck_assert_uint_lt(strlen(text), sizeof text);
    }
}
END_TEST

START_TEST(names_follow_the_rule) {
    char name[SHMFRAME_NAME_BYTES + 1];
    memset(name, 'a', sizeof name);
    name[SHMFRAME_NAME_BYTES] = 0;
    ck_assert(!shmframe_name_is_valid(name));
    name[SHMFRAME_NAME_BYTES - 1] = 0;
    ck_assert(shmframe_name_is_valid(name));
    ck_assert(shmframe_name_is_valid("0"));
    ck_assert(shmframe_name_is_valid("cam-1.sound_x"));
    static const char *const bad[] = {"",    ".a",  "-a",     "_a",      "A",
                                      "a b", "a/b", "file:x", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!shmframe_name_is_valid(bad[i]), "%s", bad[i]);
}
END_TEST

static uint64_t random_state = 88172645463325252u;

static uint64_t draw(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* What a check lets pass must hold, byte for byte. */
static void assert_sound(const struct shmframe_format *format) {
    ck_assert_uint_le(format->plane_count, SHMFRAME_PLANES_MAX);
    ck_assert_uint_lt(format->slot_bytes, UINT64_C(1) << 32);
    for (uint32_t i = 0; i < format->plane_count; i++) {
        const struct shmframe_plane *const plane = &format->plane[i];
        ck_assert_uint_ge(plane->rows, 1);
        ck_assert_uint_le(plane->row_bytes, plane->line_bytes);
        ck_assert_uint_lt(plane->offset, format->slot_bytes);
        ck_assert_uint_le(plane->offset + (uint64_t)plane->line_bytes * (plane->rows - 1) +
                              plane->row_bytes + SHMFRAME_TAIL_BYTES,
                          format->slot_bytes);
    }
}

START_TEST(random_bytes_are_judged_without_harm) {
    struct shmframe_format good[3];
    ck_assert_int_eq(shmframe_format_video(&good[0], "yuva420p", 333, 77), 0);
    ck_assert_int_eq(shmframe_format_audio(&good[1], "s16p", 64, 48000, 480), 0);
    ck_assert_int_eq(shmframe_format_data(&good[2], "x", 1000), 0);
    int passed = 0;
    for (int round = 0; round < 30000; round++) {
        struct shmframe_format format = good[round % 3];
        uint8_t *const byte = (uint8_t *)&format;
        if (round % 100 == 0) {
            for (size_t i = 0; i < sizeof format; i++)
                byte[i] = (uint8_t)draw();
            format.kind = (uint32_t)(draw() % 5);
        }
        for (uint64_t change = 1 + draw() % 3; change; change--) {
            /* Most of a format is zeros that must stay so: aim at the part that counts. */
            const size_t at = draw() % 4 ? draw() % 120 : draw() % sizeof format;
            byte[at] = draw() % 2 ? (uint8_t)draw() : (uint8_t)(byte[at] + 1);
            if (draw() % 3 == 0)
                format.plane[draw() % 4].offset += draw() % 1024 - 512;
        }
        struct shmframe_format other = format;
        if (format_check(&format) == 0) {
            assert_sound(&format);
            passed++;
        }
        if (shmframe_format_complete(&other) == 0) {
            assert_sound(&other);
            ck_assert_int_eq(format_check(&other), 0);
        }
        char text[64];
        shmframe_format_describe(&format, text, sizeof text);
    }
    ck_assert_int_gt(passed, 100);
}
END_TEST

int main(void) {
    Suite *const suite = suite_create("format");
    TCase *const tests = tcase_create("format");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_software_pixel_format_has_libavutils_geometry);
    tcase_add_test(tests, a_reserved_word_must_be_zero);
    tcase_add_test(tests, every_hardware_pixel_format_is_refused);
    tcase_add_test(tests, chroma_rows_of_odd_pictures_round_up);
    tcase_add_test(tests, every_sample_format_and_channel_count_has_libavutils_size);
    tcase_add_test(tests, data_reach_from_a_byte_to_a_gibibyte);
    tcase_add_test(tests, descriptions_out_of_range_are_refused);
    tcase_add_test(tests, crop_moves_each_plane_to_its_first_visible_byte);
    tcase_add_test(tests, crop_of_packed_bitstream_and_bayer_pictures_keeps_whole_units);
    tcase_add_test(tests, imposed_geometry_is_kept);
    tcase_add_test(tests, chroma_planes_may_share_their_lines);
    tcase_add_test(tests, imposed_geometry_that_does_not_hold_is_refused);
    tcase_add_test(tests, a_check_of_a_peers_format_wants_it_in_full);
    tcase_add_test(tests, names_of_colours_and_layouts_are_checked_where_they_are_set);
    tcase_add_test(tests, every_name_of_libavutil_fits_its_field);
    tcase_add_test(tests, other_names_of_a_pixel_format_become_its_usual_one);
    tcase_add_test(tests, formats_are_equal_only_if_all_is);
    tcase_add_test(tests, a_description_is_cut_and_terminated);
    tcase_add_test(tests, names_follow_the_rule);
    tcase_add_test(tests, random_bytes_are_judged_without_harm);
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
