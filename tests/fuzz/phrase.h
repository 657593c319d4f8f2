/* Phrases: the fields and descriptors of what a session says. */
#ifndef TESTS_FUZZ_PHRASE_H
#define TESTS_FUZZ_PHRASE_H

#include "input.h"
#include "message.h"

#define SECOND_NS INT64_C(1000000000)

/* What the fields of its type are; header and padding stay right. */
void phrase_fill(struct input *input, union message *message);

/* Descriptors, borrowed: those that its type is to have, of which there are several; or any. */
void phrase_right_fds(const union message *message, unsigned which, int out_fds[MESSAGE_FDS_MAX]);
void phrase_pick_fds(struct input *input, const union message *message,
                     int out_fds[MESSAGE_FDS_MAX]);

#endif
