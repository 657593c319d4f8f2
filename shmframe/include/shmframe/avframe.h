/* AVFrame bridge: FFmpeg reads leases and decodes into loans, without a copy.
 *
 * Needs libavutil and libavcodec's headers; the rest of the library does not.
 * Threads: get_buffer2 may be called from a decoder's worker threads; the AVFrames made here may be
 *   freed on any thread. Open the writer with SHMFRAME_WRITER_THREADED.
 */
#ifndef SHMFRAME_AVFRAME_H
#define SHMFRAME_AVFRAME_H

#include <shmframe/reader.h>
#include <shmframe/writer.h>

SHMFRAME_BEGIN

struct AVFrame;
struct AVCodecContext;

/** Makes a read-only AVFrame of a lease, and takes the lease (`lease` is all zeros then): it is
 * released when the last reference to the frame's buffer goes. The reader must outlive it.
 * Errors: -ENOTSUP this FFmpeg does not know the format; -EINVAL a data stream; -ENOMEM. */
SHMFRAME_API int shmframe_avframe_from_lease(struct shmframe_lease *lease,
                                             struct AVFrame **out_frame);

/** Describes the frames that `frame` is one of: format and geometry. Lines and offsets are the
 * library's own; time_base is left at its default. A crop that the frame still bears is applied; a
 * display matrix becomes the nearest quarter turn.
 * Errors: -ENOTSUP a hardware or unknown format; -EINVAL. */
SHMFRAME_API int shmframe_format_from_avframe(const struct AVFrame *frame,
                                              struct shmframe_format *out_format);

/** Whether what side data of that type (enum AVFrameSideDataType) say has a place in formats: the
 * display matrix (as above), mastering display and content light. Others stay behind. */
SHMFRAME_API bool shmframe_carries_side_data(int type);

/** Copies picture or samples of `frame` into `loan`, whose format must fit it, and its pts, duration
 * and whether it holds two fields. Times are converted if the frame says what their unit is.
 * Errors: -EINVAL it does not fit. */
SHMFRAME_API int shmframe_loan_copy_avframe(struct shmframe_loan *loan, const struct AVFrame *frame);

/** Lends a writer's slots to a decoder. */
struct shmframe_decoder_slots;

/** Frames that cannot go into a slot, by cause. */
struct shmframe_decoder_counters {
    uint64_t in_place;        /**< decoded straight into the slot that was published */
    uint64_t copied;          /**< decoded elsewhere, then copied */
    uint64_t copied_no_slot;  /**< ... since no slot was free */
    uint64_t copied_geometry; /**< ... since size or lines differ from the ring's */
    uint64_t copied_codec;    /**< ... since the decoder takes no buffers from outside */
    uint64_t copied_repeated; /**< ... since the decoder put out the same buffer once more */
    uint64_t copied_cut;      /**< ... since its block of sound is longer than the stream's */
};

/** The format a writer needs so that `codec`, opened, can decode into its slots: coded size, line
 * sizes and padding as the decoder wants them; time_base is its pkt_timebase. What it says of the
 * picture is what the decoder knows by now: after a first frame it is exact. How far the visible
 * picture lies inside the coded one (crop_left, crop_top) only a decoded frame tells; 0 is rarely
 * wrong. Sound: its blocks, in slots with room for what it asks for.
 * Errors: -ENOTSUP a hardware format; -EINVAL not known yet, or neither picture nor sound. */
SHMFRAME_API int shmframe_format_from_decoder(struct AVCodecContext *codec,
                                              struct shmframe_format *out_format);

/** Makes the slots of a complete sound format hold `samples` and more, of which a frame still has
 * samples_max at most: decoders ask for more than they put out, and write beyond that.
 * Errors: -EINVAL no sound; as shmframe_format_complete(). */
SHMFRAME_API int shmframe_format_add_room(struct shmframe_format *format, uint32_t samples);

/** Slots that a decoder keeps at once, at most: its reference and reordering depth and its threads;
 * and one that it is never lent, so that a picture for which there was none can still be copied. Add the decoded frames that you keep yourself before they are published, and use it as
 * shmframe_writer_params.loans. Exact after avcodec_open2() and a first frame, generous before. */
SHMFRAME_API uint32_t shmframe_decoder_loans(const struct AVCodecContext *codec);

/** Makes `codec`, a decoder of pictures or sound, decode into slots of `writer`: installs get_buffer2 and
 * takes `opaque`. Call after avcodec_open2() or before. A slot is given back when the decoder has let go of
 * it, also if its frame was dropped. Where lossless readers are behind, decoding waits for them.
 * Errors: -ENOMEM; -EINVAL a decoder of something else. The writer must be THREADED. */
SHMFRAME_API int shmframe_decoder_slots_open(struct shmframe_writer *writer,
                                             struct AVCodecContext *codec,
                                             struct shmframe_decoder_slots **out_slots);
/** Before that, free the decoder and its frames; the writer is closed later. NULL is allowed. */
SHMFRAME_API void shmframe_decoder_slots_close(struct shmframe_decoder_slots *slots);

/** Turns a decoded frame into a loan: the slot it was decoded into where that is possible, otherwise
 * a copy in a slot of its own. A block of sound that is longer than samples_max is given in parts, as
 * references to it with moved data pointers. pts, duration and flags are taken over. capture_ns is when the decoder
 * got the slot, unless you set it. Publish it next; free the frame when you like. Any thread, one at
 * a time.
 * Errors: as shmframe_writer_loan(); -EINVAL the frame does not fit the writer's format: change it
 * with shmframe_writer_set_format() first. */
SHMFRAME_API int shmframe_decoder_slots_loan(struct shmframe_decoder_slots *slots,
                                             const struct AVFrame *frame, int64_t deadline_ns,
                                             struct shmframe_loan *out_loan);
SHMFRAME_API void shmframe_decoder_slots_counters(const struct shmframe_decoder_slots *slots,
                                                  struct shmframe_decoder_counters *out_counters);

SHMFRAME_END

#endif
