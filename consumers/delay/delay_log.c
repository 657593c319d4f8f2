#include "delay_log.h"

#include "program.h"

#include <inttypes.h>
#include <stdio.h>

/* A line is some 150 bytes: written a few times a second, not with each frame. */
enum { BUFFER_BYTES = 256 * 1024 };

static FILE *file;
static const char *path;

void delay_log_open(const char *log_path) {
    path = log_path;
    file = fopen(path, "we");
    if (!file)
        program_fail("--log: %s cannot be written: %m", path);
    setvbuf(file, NULL, _IOFBF, BUFFER_BYTES);
    fputs("stream,action,sequence_in,sequence_out,origin_sequence,capture_ns,acquire_ns,due_ns,"
          "publish_ns,held_ns,own_held_ns\n",
          file);
}

bool delay_log_close(void) {
    if (!file)
        return true;
    const bool is_whole = !ferror(file);
    const bool is_closed = fclose(file) == 0;
    file = NULL;
    if (!is_whole || !is_closed)
        program_warn("--log: %s is not complete: %m", path);
    return is_whole && is_closed;
}

static const char *name_action(const struct held_frame *frame) {
    if (frame->action == SCHEDULE_REPEAT && !frame->is_again)
        return schedule_action_name(SCHEDULE_PASS);
    return schedule_action_name(frame->action);
}

void delay_log_published(const char *stream, const struct held_frame *frame) {
    if (!file)
        return;
    const struct shmframe_frame *out = &frame->loan.frame;
    fprintf(file,
            "%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
            ",%" PRId64 ",%" PRId64 "\n",
            stream, name_action(frame), frame->sequence, out->sequence, out->origin.sequence,
            out->capture_ns, frame->acquire_ns, frame->due_ns, out->publish_ns,
            out->publish_ns - frame->acquire_ns, frame->gave_ns - frame->took_ns);
}

void delay_log_missing(const char *stream, const char *action, const struct held_frame *frame) {
    if (!file)
        return;
    const struct shmframe_frame *in = &frame->loan.frame;
    const uint64_t origin = in->flags & SHMFRAME_HAS_ORIGIN ? in->origin.sequence : frame->sequence;
    fprintf(file, "%s,%s,%" PRIu64 ",,%" PRIu64 ",%" PRId64 ",%" PRId64 ",,,,\n", stream, action,
            frame->sequence, origin, in->capture_ns, frame->acquire_ns);
}
