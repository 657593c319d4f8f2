/* Rig: shmframe-media as its users meet it: the real program, a real supervisor, real readers. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "clip.h"

#include <check.h>
#include <shmframe/shmframe.h>
#include <stdlib.h>
#include <sys/types.h>

#define SECOND_NS INT64_C(1000000000)
#define MS_NS     INT64_C(1000000)

enum { RIG_FRAMES = 2048 };

extern char rig_folder[64]; /* of this test: goes with it */
extern char rig_socket_path[96], rig_clip_path[128];
extern struct shmframe_session *rig_session;

/* A supervisor and a session with it: fixtures of each test. */
void rig_set_up(void);
void rig_tear_down(void);

/* Starts a program that ends with the test; `name` is that of the file in rig_folder for what it
 * says. */
pid_t rig_start(const char *name, const char *program, const char *const *arguments);
#define MEDIA(...)                                                                                 \
    rig_start("said", getenv("SHMFRAME_MEDIA"), (const char *const[]){__VA_ARGS__, NULL})
#define UNPACED rig_clip_path, "--unpaced", "--wait-readers", "1", "--format", "json"

/* What the newest MEDIA() said. */
const char *rig_read_said(void);
/* Waits until it has said `part`. */
void rig_wait_said(const char *part);
void rig_expect_exit(pid_t pid, int code);
/* That it said `part`, in its only line. */
void rig_expect_complaint(const char *part);
/* A number of stream `name` in the statistics, which are the last line. */
int64_t rig_read_figure(const char *name, const char *figure);
/* Asks the stream "media"; fails the test if the answer has another status. */
void rig_ask(const char *verb, const char *argument, int status);

/* Where the clip is to be: sets rig_clip_path. */
const char *rig_name_clip(const char *ending);
/* A clip of 160x120 at 25 a second with 48 kHz sound. */
void rig_make_both(int seconds);

/* What the readers have been given since rig_watch() or rig_watch_all() was called. */
struct rig_frame {
    int64_t pts, duration, capture_ns, publish_ns, pts_ns;
    uint64_t sum;
    int width, height;
    uint32_t flags, samples;
};
struct rig_seen {
    struct rig_frame picture[RIG_FRAMES], block[RIG_FRAMES];
    int pictures, blocks;
    struct clip_sound sound;
    struct shmframe_format picture_format, sound_format;
    uint64_t lost;
};
extern struct rig_seen rig_seen;

struct shmframe_reader *rig_open_reader(const char *stream, enum shmframe_policy policy,
                                        uint32_t leases);
/* Takes what is there. Returns whether the stream has ended. */
bool rig_drain(struct shmframe_reader *reader);
/* Reads both streams, or the one that is not NULL, to their ends or to `pictures` pictures. */
void rig_watch(struct shmframe_reader *pictures, struct shmframe_reader *sound, int count);
/* Reads a whole run of the program, losslessly. The sound's reader comes first: the program waits
 * for one of the pictures. */
void rig_watch_all(pid_t pid, bool has_pictures, bool has_sound, int exit_code);
/* That what was seen is what plain libavcodec decodes. */
void rig_expect_truth(const struct clip_truth *truth);

/* Runs the suite that `add` adds its tests to; the exit code. */
int rig_run(const char *name, void (*add)(TCase *tests));

#endif
