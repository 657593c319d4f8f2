#include "side_data.h"

#include <shmframe/avframe.h>
#include <string.h>

static void count(struct side_data *side_data, const char *kind) {
    for (int i = 0; i < SIDE_DATA_KINDS; i++) {
        struct producer_count *dropped = &side_data->dropped[i];
        if (dropped->what && strcmp(dropped->what, kind) != 0)
            continue;
        dropped->what = kind;
        dropped->count++;
        return;
    }
}

void side_data_count(struct side_data *side_data, const AVFrame *frame) {
    for (int i = 0; i < frame->nb_side_data; i++) {
        const enum AVFrameSideDataType type = frame->side_data[i]->type;
        const char *name = av_frame_side_data_name(type);
        if (!shmframe_carries_side_data(type))
            count(side_data, name ? name : "unknown");
    }
}
