/* What tests of pipeline files share. */
#ifndef TESTS_SERVER_CONFIG_RIG_H
#define TESTS_SERVER_CONFIG_RIG_H

#include "config.h"

#define SECOND_NS INT64_C(1000000000)

/* Where the texts seem to stand: a folder that is there. */
extern const char config_rig_path[];

/* A text that must be right. */
struct config parse(const char *text);
/* One consumer with this line in its section. */
struct config parse_key(const char *line);

/* "LINE: text" of each mistake, a line each; the caller's to free. Nothing of a text with mistakes
 * may be used. */
char *told_of(const char *bytes, size_t count);
void check_told(const char *text, const char *expected);

#endif
