/* Compares the pictures of two streams that belong together. */
#ifndef CONSUMERS_COMPARISON_H
#define CONSUMERS_COMPARISON_H

#include "pairing.h"
#include "picture_tally.h"

struct comparison;

/* Errors: -ENOMEM; -EINVAL. */
int comparison_create(const struct pairing_settings *settings, bool with_psnr, bool with_ssim,
                      struct comparison **out_comparison);
void comparison_destroy(struct comparison *comparison);

/* As pairing_set_times(). */
void comparison_set_times(struct comparison *comparison, enum pairing_side side,
                          struct shmframe_rational time_base, struct shmframe_rational frame_rate);

/* Adds a picture that can be read, and to an empty tally what came of it: with its partner it is
 * compared, the reference converted first where format, size or colours differ. Errors: -ENOMEM;
 * -ENOTSUP the reference cannot be converted. */
int comparison_add(struct comparison *comparison, enum pairing_side side, const AVFrame *picture,
                   const struct shmframe_frame *stamps, struct picture_tally *tally);

/* As those of the pairing. */
enum pairing_room comparison_find_room(const struct comparison *comparison, enum pairing_side side);
bool comparison_is_waiting(const struct comparison *comparison, enum pairing_side side);
int comparison_let_go(struct comparison *comparison, enum pairing_side side);

/* A side is over; adds to an empty tally what came of it. */
void comparison_end(struct comparison *comparison, enum pairing_side side,
                    struct picture_tally *tally);

#endif
