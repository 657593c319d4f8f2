#include "library.h"

#include "program.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct library_side {
    const struct road *road;
    void *side;
};

static void find_module(char path[PATH_MAX], const char *module) {
    char self[PATH_MAX - 64];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[length < 0 ? 0 : length] = '\0';
    snprintf(path, PATH_MAX, "%s/roads/bench-road-%s.so", dirname(self), module);
}

const char *library_why_not(const char *module, const char *package) {
    static char line[64];
    char path[PATH_MAX];
    find_module(path, module);
    snprintf(line, sizeof(line), "built without %s", package);
    return access(path, R_OK) < 0 ? line : NULL;
}

static struct library_side *load(const struct library *library) {
    struct library_side *side = calloc(1, sizeof(*side));
    char path[PATH_MAX];
    find_module(path, library->module);
    void *module = dlopen(path, RTLD_NOW);
    if (!side || !module || !(side->road = dlsym(module, "library_sides")))
        program_fail("%s: %s", library->module, dlerror());
    return side;
}

void *library_writer_open(void *prepared, struct road_count *count) {
    struct library_side *side = load(prepared);
    const struct library *library = prepared;
    side->side = side->road->writer_open(prepared, count);
    if (library->remove_names)
        library->remove_names(prepared);
    return side;
}

void library_lend(void *opaque, uint32_t count, uint8_t **out_data) {
    const struct library_side *side = opaque;
    side->road->lend(side->side, count, out_data);
}

void library_send(void *opaque, const struct parcel *parcels, uint32_t count) {
    const struct library_side *side = opaque;
    side->road->send(side->side, parcels, count);
}

/* The module stays: threads of its library may not have noticed yet. */
void library_writer_close(void *opaque) {
    struct library_side *side = opaque;
    side->road->writer_close(side->side);
    free(side);
}

void *library_reader_open(void *prepared, uint32_t number, struct road_count *count) {
    struct library_side *side = load(prepared);
    side->side = side->road->reader_open(prepared, number, count);
    return side;
}

uint32_t library_receive(void *opaque, uint32_t count, struct message *out_messages) {
    const struct library_side *side = opaque;
    return side->road->receive(side->side, count, out_messages);
}

void library_release(void *opaque, const struct message *messages, uint32_t count) {
    const struct library_side *side = opaque;
    side->road->release(side->side, messages, count);
}

void library_reader_close(void *opaque) {
    struct library_side *side = opaque;
    side->road->reader_close(side->side);
    free(side);
}
