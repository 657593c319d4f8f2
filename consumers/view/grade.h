/* Colours that a window does not have, made into those it has: light of HDR (PQ, HLG) and of wider
 * primaries (BT.2020, P3) into sRGB, and RGB of limited range into full. Pure.
 *
 * HDR is shown by a tone map. White of 203 cd/m2 (BT.2408) and what is darker stays as it is up to
 * three tenths of it; from there to the picture's peak a smooth curve bends into what is left
 * (Moebius). The peak is what the format says, else 1000 cd/m2. The brightest component decides, so
 * that hue stays; what the screen's primaries cannot show is cut off.
 */
#ifndef CONSUMERS_GRADE_H
#define CONSUMERS_GRADE_H

#include <libavutil/pixfmt.h>
#include <shmframe/format.h>

struct grade;

/* Whether pictures of that format need one. */
bool grade_is_needed(const struct shmframe_video_format *video);
/* Errors: -ENOMEM. */
int grade_create(const struct shmframe_video_format *video, struct grade **out_grade);
void grade_destroy(struct grade *grade);

/* What it takes: AV_PIX_FMT_RGB32, or of 10 bits a component AV_PIX_FMT_X2RGB10. */
enum AVPixelFormat grade_input(const struct grade *grade);
/* NULL, or what is not shown as it is: a line. */
const char *grade_remark(const struct grade *grade);

/* A row of pixels, to AV_PIX_FMT_RGB32. */
void grade_run(const struct grade *grade, const uint32_t *from, uint32_t *to, int count);

#endif
