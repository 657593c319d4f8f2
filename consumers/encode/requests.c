#include "requests.h"

#include "recorder_report.h"

#include <stdio.h>
#include <string.h>

static int run_save(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    char path[RECORDING_PATH_BYTES];
    struct requests *requests = user;
    (void)argument;
    const int result = recording_save(requests->recorder->params.recording,
                                      control_request(requests->sources->control), path);
    if (result == 0)
        return VERB_LATER;
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%.*s", SHMFRAME_ARGUMENT_BYTES - 1,
             recording_error());
    return result;
}

void requests_answer(const struct requests *requests) {
    struct recording_saved saved;
    while (recording_next_saved(requests->recorder->params.recording, &saved))
        control_answer(requests->sources->control, saved.asker, saved.result, saved.text);
}

static int run_split(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct requests *requests = user;
    (void)argument;
    const int result = recording_split(requests->recorder->params.recording);
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%.*s", SHMFRAME_ARGUMENT_BYTES - 1,
             result < 0 ? recording_error() : "a new file begins with the next key frame");
    return result;
}

static int run_pause(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct requests *requests = user;
    (void)argument;
    recorder_pause(requests->recorder);
    strcpy(answer, "paused");
    return 0;
}

static int run_resume(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct requests *requests = user;
    (void)argument;
    recorder_resume(requests->recorder);
    strcpy(answer, "recording");
    return 0;
}

static int run_stats(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    char line[RECORDER_LINE_BYTES];
    struct requests *requests = user;
    (void)argument;
    recorder_report_line(requests->recorder, line);
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%.*s", SHMFRAME_ARGUMENT_BYTES - 1, line);
    control_tell(requests->sources->control,
                 recorder_report_json(requests->recorder, requests->target, NULL));
    return 0;
}

const struct verb requests_verbs[] = {{"save", run_save},   {"split", run_split},
                                      {"pause", run_pause}, {"resume", run_resume},
                                      {"stats", run_stats}, {0}};
