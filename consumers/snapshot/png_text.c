#include "png_text.h"

#include <errno.h>
#include <libavutil/crc.h>
#include <libavutil/intreadwrite.h>
#include <string.h>

/* PNG (third edition), 5.2, 5.3 and 11.2.1: a signature, then chunks of length, type, data and a
 * checksum of type and data; the first chunk is IHDR, whose data has 13 bytes. */
enum { SIGNATURE_BYTES = 8, CHUNK_BYTES = 12, IHDR_BYTES = 13, KEYWORD_MAX = 79, TYPE_BYTES = 4 };
enum { FIRST_BYTES = SIGNATURE_BYTES + CHUNK_BYTES + IHDR_BYTES };

int png_text_add(AVPacket *png, const char *keyword, const char *text) {
    const size_t keyword_bytes = strlen(keyword), text_bytes = strlen(text);
    const size_t data_bytes = keyword_bytes + 1 + text_bytes;
    const size_t after_bytes = (size_t)png->size - FIRST_BYTES;
    if (keyword_bytes < 1 || keyword_bytes > KEYWORD_MAX || text_bytes > UINT16_MAX ||
        png->size < FIRST_BYTES || memcmp(png->data, "\x89PNG\r\n\x1a\n", SIGNATURE_BYTES) != 0)
        return -EINVAL;
    if (av_grow_packet(png, (int)(CHUNK_BYTES + data_bytes)) < 0)
        return -ENOMEM;
    uint8_t *chunk = png->data + FIRST_BYTES;
    memmove(chunk + CHUNK_BYTES + data_bytes, chunk, after_bytes);
    AV_WB32(chunk, (uint32_t)data_bytes);
    uint8_t *type = chunk + 4;
    memcpy(type, "tEXt", TYPE_BYTES);
    memcpy(type + TYPE_BYTES, keyword, keyword_bytes + 1);
    memcpy(type + TYPE_BYTES + keyword_bytes + 1, text, text_bytes);
    const uint32_t checksum =
        av_crc(av_crc_get_table(AV_CRC_32_IEEE_LE), UINT32_MAX, type, TYPE_BYTES + data_bytes);
    AV_WB32(type + TYPE_BYTES + data_bytes, checksum ^ UINT32_MAX);
    return 0;
}
