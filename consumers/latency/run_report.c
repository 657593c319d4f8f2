#include "run_report.h"

#include "run_json.h"
#include "run_page.h"
#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int run_report_try(const char *folder) {
    char path[PATH_MAX];
    struct stat there;
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return -errno;
    if (stat(folder, &there) < 0)
        return -errno;
    if (!S_ISDIR(there.st_mode))
        return -ENOTDIR;
    if (snprintf(path, sizeof(path), "%s/.try-%d", folder, (int)getpid()) >= PATH_MAX)
        return -ENAMETOOLONG;
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    close(fd);
    unlink(path);
    return 0;
}

/* ---- frames.csv ---- */

static void write_stamp(FILE *file, int64_t time_ns) {
    if (time_ns)
        fprintf(file, ",%" PRId64, time_ns);
    else
        fputc(',', file);
}

static void write_mark(FILE *file, const struct run_mark *mark) {
    static const struct {
        uint32_t flag;
        const char *name;
    } flags[] = {
        {RUN_MARK_READ, "read"},         {RUN_MARK_FIRST, "first"},
        {RUN_MARK_REPEATED, "repeated"}, {RUN_MARK_OUT_OF_ORDER, "out-of-order"},
        {RUN_MARK_TORN, "torn"},         {RUN_MARK_OTHER_CLOCK, "other-clock"},
        {RUN_MARK_MISSING, "missing"},
    };
    const char *between = "";
    fputc(',', file);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (mark->flags & flags[i].flag) {
            fprintf(file, "%s%s", between, flags[i].name);
            between = "+";
        }
    if (mark->flags & RUN_MARK_READ)
        fprintf(file, ",%" PRIu32 ",%" PRId64 ",%" PRIu64, mark->number, mark->capture_ns,
                mark->lost);
    else
        fputs(",,,0", file);
}

static void write_frame(FILE *file, const struct run *run, const struct run_frame *frame) {
    fprintf(file, "%s,%" PRIu64, run->stream, frame->sequence);
    write_stamp(file, frame->capture_ns);
    write_stamp(file, frame->publish_ns);
    write_stamp(file, frame->wake_ns);
    write_stamp(file, frame->acquire_ns);
    write_stamp(file, frame->release_ns);
    write_stamp(file, frame->present_ns);
    fprintf(file, ",%" PRIu64 ",%s,%" PRIu32, frame->lost,
            frame->lost ? shmframe_cause_name(frame->cause) : "", frame->skipped);
    write_mark(file, &frame->mark);
    fputc('\n', file);
}

static int write_frames(const struct run_report *report, FILE *file) {
    fputs("stream,sequence,capture_ns,publish_ns,wake_ns,acquire_ns,release_ns,present_ns,lost,"
          "cause,skipped,mark,mark_number,mark_capture_ns,mark_lost\n",
          file);
    for (uint32_t i = 0; i < report->runs; i++)
        for (size_t frame = 0; frame < report->run[i]->frames; frame++)
            write_frame(file, report->run[i], &report->run[i]->frame[frame]);
    return 0;
}

/* ---- run.json ---- */

static json_t *make_head(const struct run_report *report) {
    json_t *command = json_array();
    for (char *const *argument = report->arguments; *argument; argument++)
        json_array_append_new(command, run_make_text(*argument));
    return json_pack("{s:s, s:i, s:s, s:o, s:I, s:o, s:o}", "type", "shmframe-run", "version", 1,
                     "library", shmframe_version(), "title",
                     report->title ? run_make_text(report->title) : json_null(), "wall_ns",
                     (json_int_t)report->wall_ns, "command", command, "machine",
                     run_machine_make_json(&report->machine));
}

static int write_json(const struct run_report *report, FILE *file) {
    int result = run_json_begin(make_head(report), "runs", file);
    for (uint32_t i = 0; i < report->runs && result == 0; i++) {
        if (i)
            fputc(',', file);
        result = run_json_write(report->run[i], file);
    }
    run_json_end(file);
    fputc('\n', file);
    return result;
}

/* ---- all three ---- */

static int write_file(const struct run_report *report, const char *folder, const char *name,
                      int (*write)(const struct run_report *report, FILE *file)) {
    char path[PATH_MAX];
    char *data = NULL;
    size_t bytes = 0;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= PATH_MAX)
        return -ENAMETOOLONG;
    FILE *memory = open_memstream(&data, &bytes);
    if (!memory)
        return -ENOMEM;
    int result = write(report, memory);
    if (fclose(memory) != 0 && result == 0)
        result = -ENOMEM;
    if (result == 0)
        result = whole_file_write(path, data, bytes, true);
    free(data);
    return result;
}

int run_report_write(const struct run_report *report, const char *folder) {
    int result = write_file(report, folder, "frames.csv", write_frames);
    if (result == 0)
        result = write_file(report, folder, "run.json", write_json);
    if (result == 0)
        result = write_file(report, folder, "index.html", run_page_write);
    return result;
}
