#include "verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct verb *find(const struct verb *verbs, const char *name) {
    for (const struct verb *verb = verbs; verb && verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

static void name_verbs(const struct verb_table *tables, int count,
                       char text[SHMFRAME_ARGUMENT_BYTES]) {
    size_t used = (size_t)snprintf(text, SHMFRAME_ARGUMENT_BYTES, "verbs: help");
    for (int i = 0; i < count; i++)
        for (const struct verb *verb = tables[i].verbs; verb && verb->name; verb++)
            if (used + strlen(verb->name) + 3 < SHMFRAME_ARGUMENT_BYTES)
                used += (size_t)snprintf(text + used, SHMFRAME_ARGUMENT_BYTES - used, ", %s",
                                         verb->name);
}

int verb_serve(struct shmframe_writer *writer, const struct shmframe_writer_event *request,
               const struct verb_table *tables, int count) {
    char answer[SHMFRAME_ARGUMENT_BYTES] = "";
    for (int i = 0; i < count; i++) {
        const struct verb *verb = find(tables[i].verbs, request->verb);
        if (!verb)
            continue;
        const int status = verb->run(tables[i].user, request->argument, answer);
        if (status != VERB_LATER)
            shmframe_writer_answer(writer, request->request, status, answer);
        return i;
    }
    name_verbs(tables, count, answer);
    const int status = strcmp(request->verb, "help") == 0 ? 0 : -ENOTSUP;
    shmframe_writer_answer(writer, request->request, status, answer);
    return -1;
}
