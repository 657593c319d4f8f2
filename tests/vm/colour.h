/* Colour: the bars of vivid's test pattern, as each pixel format has them. */
#ifndef TESTS_VM_COLOUR_H
#define TESTS_VM_COLOUR_H

#include <shmframe/reader.h>

/* Checks each pixel of a picture of "100% Colorbar" against what its bar should be. */
void colour_expect_bars(const struct shmframe_lease *lease);

#endif
