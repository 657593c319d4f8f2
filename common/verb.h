/* What a program can be asked to do while it runs: "shmframe ask STREAM VERB ARGUMENT". */
#ifndef COMMON_VERB_H
#define COMMON_VERB_H

#include <shmframe/writer.h>

/* That the program answers by itself, once it is done. */
enum { VERB_LATER = 1 };

/* `run` returns 0 or a negative errno for the asker, and may put a short line into `answer`; or
 * VERB_LATER. */
struct verb {
    const char *name; /* NULL ends a table of them */
    int (*run)(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]);
};

struct verb_table {
    const struct verb *verbs; /* may be NULL */
    void *user;
};

/* Runs what a request asks for, from the first table that has it, and answers, unless it is
 * VERB_LATER: then the caller owes shmframe_writer_answer(). `help` is answered
 * with the names of all verbs, and so is a verb that no table has, which is -ENOTSUP then. Returns
 * the index of the table whose verb ran; -1: none did. */
int verb_serve(struct shmframe_writer *writer, const struct shmframe_writer_event *request,
               const struct verb_table *tables, int count);

#endif
