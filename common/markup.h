/* Text of any origin within XML and HTML. */
#ifndef COMMON_MARKUP_H
#define COMMON_MARKUP_H

#include <stdio.h>

/* Writes `text`, between tags or within the quotes of an attribute: what markup is made of is
 * escaped; bytes that are no UTF-8, and control characters, which XML forbids, become U+FFFD. NULL
 * is an empty text. */
void markup_write(FILE *file, const char *text);

#endif
