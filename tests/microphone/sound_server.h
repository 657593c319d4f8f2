/* A PulseAudio of the test's own, and what it records: two channels of 48000 Hz whose every sample
 * is known. The left one is a sine, the right one counts, from 1 to SIGNAL_PERIOD and again, so
 * that it is never silent.
 *
 * The source "pipe" reads the signal from a pipe, which a thread of the test fills by the clock:
 * the instant of each sample is known, and a machine that is busy makes none disappear. The sink
 * "null" has a monitor, "null.monitor".
 */
#ifndef TESTS_MICROPHONE_SOUND_SERVER_H
#define TESTS_MICROPHONE_SOUND_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SIGNAL_RATE = 48000,
    SIGNAL_HZ = 441,
    SIGNAL_LEVEL = 16000,
    SIGNAL_PERIOD = 32767,
    SIGNAL_CHANNELS = 2,
};

/* Both channels of sample i. */
void signal_fill(int16_t out[SIGNAL_CHANNELS], int64_t i);

struct sound_server {
    char folder[64];
    pid_t pid;
};

/* Makes the folder, points this process' environment at it (HOME, PULSE_..., ALSA), and starts.
 * False: it does not run. */
bool sound_server_init(struct sound_server *server);
/* What ALSA knows from now on: `devices`, in its configuration's words, and the server. */
bool sound_server_set_devices(const struct sound_server *server, const char *devices);
/* Starts it, again after it was killed. Dies with this thread. */
bool sound_server_start(struct sound_server *server);
/* Kills it, and waits for its end. */
void sound_server_kill(struct sound_server *server);
/* Kills it if need be, and removes the folder. */
void sound_server_finish(struct sound_server *server);

/* Fills the pipe by the clock. */
struct sound_feed {
    int fd;
    pthread_t thread;
    atomic_bool is_stopping;
    int64_t start_ns;     /* instant of sample 0 */
    atomic_llong refused; /* samples that the pipe had no room for, and that nobody will hear */
};

bool sound_feed_start(struct sound_feed *feed, const struct sound_server *server);
void sound_feed_stop(struct sound_feed *feed);

#endif
