/* Decoder, from inside: what its format and its slots share. */
#ifndef SHMFRAME_SRC_DECODER_H
#define SHMFRAME_SRC_DECODER_H

#include <libavcodec/avcodec.h>

/* Width and height in memory that the decoder wants for a picture of a coded size. */
void decoder_find_coded_size(AVCodecContext *codec, enum AVPixelFormat pixel_format, int *width,
                             int *height);

#endif
