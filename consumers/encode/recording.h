/* Where the packets of an encoder go: a file, a row of files, a buffer of the last seconds,
 * standard output or the network.
 *
 * Life: create (the container is known from here on), set_streams, write..., finish, destroy.
 * Threads: all calls from one thread. Bytes are written by a thread of the recording's own, so that
 * a slow disk or network holds up nobody: what waits for it is bounded in bytes and in seconds, and
 * what is more is dropped and counted, up to the next key frame, unless the packets may wait. That
 * thread also finds the peer, or the reader of a FIFO; what comes before is dropped likewise.
 * Times are media times: stamps of the packets, in nanoseconds.
 */
#ifndef CONSUMERS_RECORDING_H
#define CONSUMERS_RECORDING_H

#include "program.h"

#include <libavformat/avformat.h>

enum { RECORDING_PATH_BYTES = 1024, RECORDING_STREAMS_MAX = 17 };

struct recording_stream {
    const AVCodecParameters *parameters; /* copied */
    AVRational time_base;                /* of the packets' stamps */
    AVRational frame_rate;               /* 0/1: not known */
    const char *name;                    /* title of the track; may be NULL */
    int32_t rotation_degrees;            /* pictures, as their format tells; likewise: */
    struct shmframe_hdr hdr;
};

/* Zero means the documented default. */
struct recording_params {
    const char *target;    /* a path, with a pattern if there are several files; a URL; "-" */
    const char *container; /* as FFmpeg names muxers; NULL: by the target */
    const struct option_list *options; /* NAME=VALUE of the muxer and the protocol; may be NULL */
    int64_t segment_ns;                /* a new file after so long, 0: never */
    uint64_t segment_bytes;            /* a new file after so much, 0: never */
    int64_t keep_ns;     /* replay: nothing is written until it is saved, 0: write at once */
    uint64_t keep_bytes; /* the buffer's limit in memory, 0: 1 GiB */
    const char *sdp;     /* rtp: where the description goes, "-": standard output */
    bool is_overwriting; /* existing files may be replaced */
    bool is_waiting; /* writing waits for a slow target, instead of dropping: files in, file out */
    bool is_reconnecting;      /* a peer that goes away is looked for again */
    void (*serve)(void *user); /* called while a call waits for the target; may be NULL */
    void *serve_user;
};

struct recording;

/* What went wrong in the call that failed last: one line, with the remedy. */
const char *recording_error(void);

/* Chooses the container. -EINVAL: the params make no sense (a usage error); other errors: the
 * target cannot be written. */
int recording_create(const struct recording_params *params, struct recording **out_recording);
/* Finishes first, if that was not done. NULL is allowed. */
void recording_destroy(struct recording *recording);

/* The container, for the choice of codecs; its AVFMT_GLOBALHEADER says what encoders are to do. */
const AVOutputFormat *recording_format(const struct recording *recording);

/* Before the first packet, and again when a format has changed, which begins a new file. A file is
 * opened here, and a peer that is there at once: -EINVAL if the container does not take these
 * streams or options, another error if it cannot be written; -EINTR: program_is_stopping(). A
 * stream's number is its index. */
int recording_set_streams(struct recording *recording, const struct recording_stream *streams,
                          uint32_t count);

/* Whether the picture of this time should be a key frame, because a new file, or playback behind a
 * gap, can begin only there. Said until a key frame of this time or later is written. */
bool recording_wants_key(struct recording *recording, int64_t time_ns);

/* A new file at the next key frame; it is asked for as above. -ENOTSUP: the target is one flow. */
int recording_split(struct recording *recording);

/* Takes the packet's reference, also on failure; stream_index and stamps are the stream's as given.
 * Errors are those of the target, found a little later than the packet that met them: the recording
 * is over then, and what is written is closed properly. What is dropped is no error. */
int recording_write(struct recording *recording, AVPacket *packet);

/* Replay: begins to save what is kept, from a key frame on, under the path that is returned;
 * keeping goes on. How it ended is told by recording_next_line(), and for an `asker` that is not 0
 * by recording_next_saved() too. -ENOTSUP without keep_ns, -ENODATA if nothing is kept, -ESHUTDOWN
 * when it ends, -EBUSY while as many saves as possible are under way, or have ended and were not
 * asked about. */
int recording_save(struct recording *recording, uint32_t asker,
                   char out_path[RECORDING_PATH_BYTES]);

struct recording_saved {
    uint32_t asker; /* as recording_save() was given it */
    int result;     /* 0, or a negative errno */
    char
        text[RECORDING_PATH_BYTES]; /* the path of the file, which is whole, or why there is none */
};

/* A save of an asker's that has ended; false: there is none. To be asked now and then, and after
 * finish. */
bool recording_next_saved(struct recording *recording, struct recording_saved *out_saved);

/* One line for the user about what happened meanwhile (saved, lost the peer, dropped...); false:
 * there is none. To be asked now and then, and after finish. */
bool recording_next_line(struct recording *recording, char out_line[RECORDING_PATH_BYTES]);

/* Writes what is left and closes. After a signal to stop, a target is given up that takes nothing
 * for 3 s, and any after 10 s; without one, a peer that takes nothing for 10 s. */
int recording_finish(struct recording *recording);

struct recording_state {
    uint64_t bytes;         /* written, of all files */
    uint64_t segment_bytes; /* of the file that is open */
    uint64_t given_bytes;   /* of the packets that were taken: some of it is on its way yet */
    uint64_t packets;
    uint32_t segments;     /* files begun, saved ones included; one that got nothing is no file */
    uint32_t saves;        /* ended well */
    uint32_t reconnects;   /* ended well */
    int64_t media_ns;      /* from the first stamp to the end of the last packet that was given */
    int64_t written_ns;    /* time of the newest packet that the target was given */
    uint64_t dropped;      /* packets that the target was too slow for, or away */
    int64_t dropped_ns;    /* of the leading stream */
    uint64_t late;         /* packets of one stream that came too late to go beside the others' */
    uint64_t queued_bytes; /* on their way to the target */
    bool is_replay;
    int64_t kept_ns; /* in the replay buffer */
    uint64_t kept_bytes;
    char path[RECORDING_PATH_BYTES]; /* of the file that is open, or was last; "": none */
};
void recording_state(struct recording *recording, struct recording_state *out_state);

#endif
