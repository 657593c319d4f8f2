/* One option's value: from the text on the command line to what the program reads. */
#ifndef COMMON_OPTION_H
#define COMMON_OPTION_H

#include "program.h"

/* Stores what `text` says in spec->out. Returns NULL, or what the text should have been ("a size
 * such as 1920x1080"), with spec->out untouched. `text` is ignored for a flag. */
const char *option_store(const struct option_spec *spec, const char *text);

#endif
