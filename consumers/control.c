#include "control.h"

#include "program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control {
    struct shmframe_writer *writer;
    char name[SHMFRAME_NAME_BYTES];
    const struct verb *verbs;
    void *user;
    uint64_t left_out;
    uint32_t request; /* that a verb runs for */
    bool is_quitting;
};

static int run_quit(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct control *control = user;
    (void)argument;
    control->is_quitting = true;
    strcpy(answer, "ending");
    return 0;
}

static const struct verb common_verbs[] = {{"quit", run_quit}, {0}};

struct control *control_open(struct shmframe_session *session, const char *name,
                             const struct verb *verbs, void *user) {
    if (!shmframe_name_is_valid(name))
        program_fail_usage("\"%s\" cannot name a stream: a to z, 0 to 9, '.', '_' and '-' can, up "
                           "to 63 of them, the first a letter or digit",
                           name);
    struct shmframe_writer_params params = {
        .stream = name,
        .flags = SHMFRAME_WRITER_LIVE,
        .history = 4,
    };
    struct control *control = calloc(1, sizeof(*control));
    if (!control || shmframe_format_data(&params.format, "application/json", CONTROL_BYTES_MAX) < 0)
        program_fail("no memory");
    control->verbs = verbs;
    control->user = user;
    snprintf(control->name, sizeof(control->name), "%s", name);
    const int result = shmframe_writer_open(session, &params, &control->writer);
    if (result == 0)
        return control;
    if (result == -EEXIST)
        program_fail("--control: there is a stream %s already (shmframe ls): choose another name",
                     name);
    if (!program_is_stopping())
        program_fail_call(name);
    free(control);
    return NULL;
}

void control_close(struct control *control) {
    if (!control)
        return;
    if (control->left_out)
        program_warn("%s: %" PRIu64 " results were left out: each is at most %d bytes, and its "
                     "readers may hold none for long",
                     control->name, control->left_out, CONTROL_BYTES_MAX);
    shmframe_writer_close(control->writer);
    free(control);
}

bool control_serve(struct control *control) {
    const struct verb_table tables[] = {
        {.verbs = common_verbs, .user = control},
        {.verbs = control->verbs, .user = control->user},
    };
    bool is_asked = false;
    struct shmframe_writer_event event;
    while (shmframe_writer_next_event(control->writer, &event) == 0) {
        if (event.type != SHMFRAME_REQUEST)
            continue;
        control->request = event.request;
        if (verb_serve(control->writer, &event, tables, 2) == 1)
            is_asked = true;
    }
    /* After the answer: stopping interrupts the session. */
    if (control->is_quitting)
        program_stop();
    return is_asked;
}

uint32_t control_request(const struct control *control) {
    return control->request;
}

void control_answer(struct control *control, uint32_t request, int status, const char *text) {
    char answer[SHMFRAME_ARGUMENT_BYTES];
    snprintf(answer, sizeof(answer), "%s", text);
    /* Who asked may be gone: that is told nobody. */
    shmframe_writer_answer(control->writer, request, status, answer);
}

void control_tell(struct control *control, json_t *object) {
    struct shmframe_loan loan;
    if (shmframe_writer_loan(control->writer, SHMFRAME_NOW, &loan) < 0) {
        control->left_out++;
        json_decref(object);
        return;
    }
    const size_t bytes = json_dumpb(object, (char *)loan.data, CONTROL_BYTES_MAX, JSON_COMPACT);
    json_decref(object);
    if (bytes == 0 || bytes > CONTROL_BYTES_MAX) {
        control->left_out++;
        shmframe_writer_abandon(control->writer, &loan);
        return;
    }
    loan.frame.bytes = (uint32_t)bytes;
    shmframe_writer_publish(control->writer, &loan);
}
