#include "album.h"

#include "frame_file.h"
#include "program.h"
#include "shot_name.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool album_save_screen(struct screen *screen, const char *path) {
    const int error = screen_save(screen, path);
    if (error) {
        program_warn("screenshot %s cannot be written: %s", path, strerror(-error));
    }
    return !error;
}

/* A name after stream and time that no file has yet: of several in a second, with a number. */
static char *find_free_name(const char *stream) {
    const time_t now = time(NULL);
    char *path = shot_name_default(stream, now, "png", false);
    char *const series = shot_name_default(stream, now, "png", true);
    for (uint32_t number = 2; path && series && access(path, F_OK) == 0; number++) {
        free(path);
        path = shot_name_make(series, number);
    }
    free(series);
    return path;
}

void album_add_screen(struct screen *screen, const char *stream) {
    char *const path = find_free_name(stream);
    if (path && album_save_screen(screen, path)) {
        program_warn("saved %s", path);
    }
    free(path);
}

void album_add_frame(struct pictures *pictures, const char *name) {
    const AVFrame *const frame = pictures_frame_on_screen(pictures);
    if (!frame) {
        program_warn("%s: no picture is held that could be saved", name);
        return;
    }
    char suffix[40];
    snprintf(suffix, sizeof suffix, "%" PRIu64 ".png", pictures->sequence);
    char *const path = shot_name_default(pictures->source.stream, time(NULL), suffix, false);
    const int degrees = pictures_on_screen(pictures)->format->video.rotation_degrees;
    const int error = path ? frame_file_write(path, frame, degrees) : -ENOMEM;
    if (error == -EEXIST) {
        program_warn("%s is there already, with this frame", path);
    } else if (error) {
        program_warn("frame %" PRIu64 " of %s cannot be saved: %s", pictures->sequence,
                     pictures->source.stream, strerror(-error));
    } else {
        program_warn("saved %s", path);
    }
    free(path);
}
