/* A block of samples where the producer wrote it: any sample format, planar or packed. Pure. */
#ifndef CONSUMERS_SOUND_BLOCK_H
#define CONSUMERS_SOUND_BLOCK_H

#include <libavutil/channel_layout.h>
#include <libavutil/samplefmt.h>
#include <shmframe/shmframe.h>

struct sound_block {
    const uint8_t *channel[SHMFRAME_CHANNELS_MAX]; /* the first sample of each */
    size_t stride_bytes;                           /* from one sample of a channel to its next */
    enum AVSampleFormat type;                      /* packed, whether the block is or not */
    bool is_packed;                                /* channel[0] begins with a sample of each */
    uint32_t channels, samples;
};

/* The samples of `lease` from `first` on, at most `count`; valid as long as the lease is. Errors:
 * -ENOTSUP this FFmpeg does not know the sample format. */
int sound_block_from_lease(const struct shmframe_lease *lease, uint32_t first, uint32_t count,
                           struct sound_block *out_block);

/* One sample; full scale is 1. Not finite where a float is not. */
double sound_block_sample(const struct sound_block *block, uint32_t channel, uint32_t index);

/* The layout that `format` names; where it names none, libavutil's default for that number of
 * channels. Errors: -ENOTSUP there is none. */
int sound_layout(const struct shmframe_audio_format *format, AVChannelLayout *out_layout);

#endif
