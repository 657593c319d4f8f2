#include "sound_system.h"

#include "progress.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <portaudio.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void say_nothing_alsa(const char *file, int line, const char *function, int error,
                             const char *text, ...) {
    (void)file, (void)line, (void)function, (void)error, (void)text;
}

static void say_nothing_jack(const char *text) {
    (void)text;
}

/* ALSA and JACK are libraries of PortAudio's, not of ours: their setters are looked up. */
static void silence_libraries(void) {
    typedef void alsa_handler(const char *, int, const char *, int, const char *, ...);
    typedef int alsa_setter(alsa_handler *);
    typedef void jack_setter(void (*)(const char *));
    alsa_setter *const set_alsa = (alsa_setter *)dlsym(RTLD_DEFAULT, "snd_lib_error_set_handler");
    if (set_alsa)
        set_alsa(say_nothing_alsa);
    static const char *const jack_names[] = {"jack_set_error_function", "jack_set_info_function"};
    for (size_t i = 0; i < sizeof(jack_names) / sizeof(jack_names[0]); i++) {
        jack_setter *const set_jack = (jack_setter *)dlsym(RTLD_DEFAULT, jack_names[i]);
        if (set_jack)
            set_jack(say_nothing_jack);
    }
}

/* Whether ALSA, if PortAudio uses it, knows of any device: PortAudio aborts the program if not,
 * which is so where ALSA's configuration is missing or empty. */
static bool is_alsa_configured(void) {
    typedef int config_update(void);
    typedef int config_search(void *config, const char *key, void **out_node);
    config_update *const update = (config_update *)dlsym(RTLD_DEFAULT, "snd_config_update");
    config_search *const search = (config_search *)dlsym(RTLD_DEFAULT, "snd_config_search");
    void **const config = dlsym(RTLD_DEFAULT, "snd_config");
    if (!update || !search || !config)
        return true;
    void *devices = NULL;
    return update() >= 0 && *config && search(*config, "pcm", &devices) >= 0;
}

/* A line that makes libpulse read that file too; it need not be there. */
static void include(int fd, const char *path) {
    dprintf(fd, ".include %s\n", path);
    char pattern[PATH_MAX];
    snprintf(pattern, sizeof(pattern), "%s.d/*.conf", path);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        dprintf(fd, ".include %s\n", found.gl_pathv[i]);
    globfree(&found);
}

/* The one configuration that libpulse would read: what is named, or the first that is there. */
static void include_client_configuration(int fd) {
    const char *named = getenv("PULSE_CLIENTCONFIG"), *home = getenv("HOME");
    const char *const places[][2] = {
        {getenv("PULSE_CONFIG_PATH"), "client.conf"},
        {home, ".pulse/client.conf"},
        {home, ".config/pulse/client.conf"},
    };
    char path[PATH_MAX] = "/etc/pulse/client.conf";
    bool is_found = named && *named;
    if (is_found)
        snprintf(path, sizeof(path), "%s", named);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !is_found; i++) {
        char place[PATH_MAX];
        if (!places[i][0])
            continue;
        snprintf(place, sizeof(place), "%s/%s", places[i][0], places[i][1]);
        is_found = access(place, R_OK) == 0;
        if (is_found)
            memcpy(path, place, sizeof(path));
    }
    include(fd, path);
}

/* Where a PulseAudio dies that has lent shared memory, and ALSA's plug-in has read a part of it,
 * libpulse waits for the rest to be read, and holds the lock that reading needs: every later call
 * stands still for ever (memblock_wait() below pa_memimport_free(), still so in PulseAudio 16).
 * Sound is little: it may as well come through the socket. The only switch is in a file, so what
 * counts so far is read from ours, and the switch behind it. */
static void refuse_shared_memory(void) {
    static bool is_done;
    if (is_done)
        return;
    is_done = true;
    const int fd = memfd_create("pulse-client.conf", MFD_CLOEXEC);
    if (fd < 0)
        return;
    include_client_configuration(fd);
    dprintf(fd, "enable-shm = no\n");
    /* Not "self": a server that libpulse starts reads it too. */
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
    setenv("PULSE_CLIENTCONFIG", path, 1);
}

bool sound_system_start(void) {
    silence_libraries();
    sound_system_hush();
    const bool is_started = is_alsa_configured() && Pa_Initialize() == paNoError;
    sound_system_unhush();
    return is_started;
}

void sound_system_stop(void) {
    sound_system_hush();
    Pa_Terminate();
    sound_system_unhush();
}

/* PortAudio prints what failed inside it with the C library, and offers no switch; libpulse
 * likewise. Jobs of theirs may last for ever: what the program itself has to say meanwhile goes
 * around. */
static struct {
    int null_fd, stderr_fd;
    unsigned depth;
} hush = {.null_fd = -1, .stderr_fd = -1};

void sound_system_prepare(void) {
    refuse_shared_memory();
    if (hush.null_fd < 0)
        hush.null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (hush.stderr_fd >= 0)
        return;
    hush.stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    FILE *file = hush.stderr_fd >= 0 ? fdopen(hush.stderr_fd, "w") : NULL;
    if (!file)
        return;
    setvbuf(file, NULL, _IONBF, 0);
    progress_set_file(file);
}

void sound_system_hush(void) {
    if (hush.depth++ > 0)
        return;
    sound_system_prepare();
    if (hush.null_fd >= 0 && hush.stderr_fd >= 0)
        dup2(hush.null_fd, STDERR_FILENO);
}

void sound_system_unhush(void) {
    if (--hush.depth == 0 && hush.stderr_fd >= 0)
        dup2(hush.stderr_fd, STDERR_FILENO);
}
