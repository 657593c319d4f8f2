/* What a container is told of pictures beside their codec's parameters: rotation, mastering display
 * and content light. */
#ifndef CONSUMERS_PICTURE_SIDE_H
#define CONSUMERS_PICTURE_SIDE_H

#include <libavformat/avformat.h>
#include <shmframe/format.h>

/* -ENOMEM. */
int picture_side_add(AVStream *stream, int32_t rotation_degrees, const struct shmframe_hdr *hdr);

#endif
