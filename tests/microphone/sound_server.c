#include "sound_server.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <shmframe/clock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum { PIPE_BYTES = 1 << 20, FEED_SAMPLES = 4800 };

void signal_fill(int16_t out[SIGNAL_CHANNELS], int64_t i) {
    /* The sine's period in samples is a whole number of them after a second. */
    const double turn = (double)(i % SIGNAL_RATE * SIGNAL_HZ % SIGNAL_RATE) / SIGNAL_RATE;
    out[0] = (int16_t)lround(SIGNAL_LEVEL * sin(2 * M_PI * turn));
    out[1] = (int16_t)(1 + i % SIGNAL_PERIOD);
}

/* The server. */

static bool write_text(const char *folder, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    fputs(text, file);
    return fclose(file) == 0;
}

bool sound_server_set_devices(const struct sound_server *server, const char *devices) {
    char text[512];
    snprintf(text, sizeof(text), "%s%s", devices,
             "pcm.!default { type pulse }\nctl.!default { type pulse }\n");
    return write_text(server->folder, ".asoundrc", text);
}

bool sound_server_init(struct sound_server *server) {
    *server = (struct sound_server){.folder = "/tmp/shmframe-test-XXXXXX"};
    if (!mkdtemp(server->folder) || !sound_server_set_devices(server, ""))
        return false;
    char address[128];
    snprintf(address, sizeof(address), "unix:%s/native", server->folder);
    setenv("PULSE_SERVER", address, 1);
    static const char *const folders[] = {"HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH",
                                          "PULSE_STATE_PATH"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        setenv(folders[i], server->folder, 1);
    static const char *const others[] = {"ALSA_CONFIG_PATH", "PULSE_SOURCE", "PULSE_SINK",
                                         "DBUS_SESSION_BUS_ADDRESS", "DISPLAY"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        unsetenv(others[i]);
    return sound_server_start(server);
}

static bool is_listening(const struct sound_server *server) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/native", server->folder);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_there = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return is_there;
}

static void exec_server(const struct sound_server *server) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char pipe_source[256], protocol[160];
    snprintf(pipe_source, sizeof(pipe_source),
             "module-pipe-source source_name=pipe file=%s/signal format=s16le rate=%d channels=%d",
             server->folder, SIGNAL_RATE, SIGNAL_CHANNELS);
    /* The last one: who can connect finds the others. */
    snprintf(protocol, sizeof(protocol),
             "module-native-protocol-unix socket=%s/native auth-anonymous=1", server->folder);
    const int null_fd = open("/dev/null", O_RDWR);
    dup2(null_fd, STDOUT_FILENO);
    dup2(null_fd, STDERR_FILENO);
    execlp("pulseaudio", "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
           "--use-pid-file=no", "-L", pipe_source, "-L",
           "module-null-sink sink_name=null format=s16le rate=48000 channels=2", "-L", protocol,
           NULL);
    _exit(127);
}

bool sound_server_start(struct sound_server *server) {
    static const char *const names[] = {"native", "signal"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", server->folder, names[i]);
        unlink(path);
    }
    server->pid = fork();
    if (server->pid == 0)
        exec_server(server);
    const int64_t deadline_ns = shmframe_deadline_ns(30 * SECOND_NS);
    while (shmframe_now_ns() < deadline_ns && waitpid(server->pid, NULL, WNOHANG) == 0) {
        if (is_listening(server))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return false;
}

void sound_server_kill(struct sound_server *server) {
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void sound_server_finish(struct sound_server *server) {
    sound_server_kill(server);
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", server->folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", server->folder);
}

/* The feed. */

static void *run_feed(void *user) {
    struct sound_feed *feed = user;
    int16_t samples[FEED_SAMPLES][SIGNAL_CHANNELS];
    for (int64_t next = 0; !atomic_load(&feed->is_stopping);) {
        const int64_t due = (shmframe_now_ns() - feed->start_ns) * SIGNAL_RATE / SECOND_NS;
        uint32_t count = 0;
        while (next + count < due && count < FEED_SAMPLES) {
            signal_fill(samples[count], next + count);
            count++;
        }
        /* Whole or not at all, up to PIPE_BUF; a part of more is whole samples, too. */
        const ssize_t bytes = count ? write(feed->fd, samples, count * sizeof(samples[0])) : 0;
        const int64_t written = bytes > 0 ? bytes / (ssize_t)sizeof(samples[0]) : 0;
        atomic_fetch_add(&feed->refused, count - written);
        next += count;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return NULL;
}

bool sound_feed_start(struct sound_feed *feed, const struct sound_server *server) {
    char path[128];
    snprintf(path, sizeof(path), "%s/signal", server->folder);
    *feed = (struct sound_feed){.fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
    if (feed->fd < 0)
        return false;
    signal(SIGPIPE, SIG_IGN);
    fcntl(feed->fd, F_SETPIPE_SZ, PIPE_BYTES);
    feed->start_ns = shmframe_now_ns();
    return pthread_create(&feed->thread, NULL, run_feed, feed) == 0;
}

void sound_feed_stop(struct sound_feed *feed) {
    atomic_store(&feed->is_stopping, true);
    pthread_join(feed->thread, NULL);
    close(feed->fd);
}
