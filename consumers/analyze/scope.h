/* Where the samples of pictures lie: luma by column and value, chroma in its plane. What a waveform
 * monitor and a vectorscope show. Pure.
 *
 * Of each picture some rows are looked at, others the next time.
 */
#ifndef CONSUMERS_SCOPE_H
#define CONSUMERS_SCOPE_H

#include "component.h"

enum { SCOPE_COLUMNS = 512, SCOPE_VALUES = 256 };

struct scope {
    /* How often samples had such values, in the upper 8 bits: from left to right and by luma; by Cr
     * and Cb. RGB as BT.709 of full range. */
    uint64_t luma[SCOPE_COLUMNS][SCOPE_VALUES];
    uint64_t chroma[SCOPE_VALUES][SCOPE_VALUES];
    uint64_t pictures;
    bool has_chroma;
    bool is_full; /* the range of the newest picture, and its matrix */
    enum AVColorSpace color_space;
    uint8_t row[COMPONENTS_MAX + 1][COMPONENT_ROW_BYTES]; /* buffers */
};

/* All zeros is an empty scope. */
void scope_add(struct scope *scope, const AVFrame *picture, const struct components *components);

#endif
