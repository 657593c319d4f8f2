/* Words in a PNG file: its tEXt chunks. */
#ifndef CONSUMERS_PNG_TEXT_H
#define CONSUMERS_PNG_TEXT_H

#include <libavcodec/packet.h>

/* Puts `text` under `keyword`, both ASCII, before the picture of the PNG file in `png`.
 * Errors: -ENOMEM; -EINVAL a keyword of none or more than 79 letters, or not a PNG file. */
int png_text_add(AVPacket *png, const char *keyword, const char *text);

#endif
