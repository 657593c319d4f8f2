#include "output_file.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 256 << 10,
    RESERVE_BYTES = 1 << 20, /* for indexes and ends: 50,000 entries of Matroska's */
    RESERVE_STEP_BYTES = 4 << 20,
    WINDOW_BYTES = 8 << 20, /* what is sent to the disk at once */
    WINDOWS_BEHIND = 8,     /* how much may wait in memory for the disk */
    SLICE_MS = 100,         /* between two looks at the interrupt */
    PIPE_WRITE_BYTES = 4096,
};

struct output_file {
    int fd;
    AVIOContext *context;
    AVIOInterruptCB interrupt;
    bool is_regular;
    int64_t at;       /* where the next byte goes */
    int64_t end;      /* the file's size */
    int64_t reserved; /* up to here the disk has room for us */
    int64_t windows;  /* sent to the disk */
    int64_t whole;    /* of the last mark */
    int room_error;   /* found while there was room for the end */
    int error;        /* of a write */
    bool is_cut;
};

static bool is_interrupted(const struct output_file *file) {
    return file->interrupt.callback && file->interrupt.callback(file->interrupt.opaque);
}

/* Room. */

/* How large a file may become: beyond it the kernel sends SIGXFSZ, also for room that is only
 * reserved. */
static int64_t find_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur > INT64_MAX)
        return INT64_MAX;
    return (int64_t)limit.rlim_cur;
}

/* Past the limit a write would fail, or the disk has no room: told before it is so. */
static void keep_room(struct output_file *file, int64_t end) {
    const int64_t limit = find_limit();
    const int64_t least = end + (limit / 4 < RESERVE_BYTES ? limit / 4 : RESERVE_BYTES);
    if (!file->is_regular || file->room_error)
        return;
    if (least > limit)
        file->room_error = -EFBIG;
    if (least > limit || least <= file->reserved)
        return;
    const int64_t to = limit - RESERVE_STEP_BYTES < least ? limit : least + RESERVE_STEP_BYTES;
    int result = fallocate(file->fd, FALLOC_FL_KEEP_SIZE, file->reserved, to - file->reserved);
    if (result < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
        /* The step is a convenience, the reserve is what is needed. */
        result = fallocate(file->fd, FALLOC_FL_KEEP_SIZE, file->reserved, least - file->reserved);
        if (result < 0)
            file->room_error = -errno;
        else
            file->reserved = least;
        return;
    }
    /* File systems that cannot reserve: writes will tell. */
    file->reserved = result < 0 ? INT64_MAX - RESERVE_BYTES : to;
}

/* What was written is sent to the disk early and, once there, leaves the page cache: a long
 * recording would push out everything else. Errors come back with fsync's kin, not here. */
static void relieve_cache(struct output_file *file) {
    while (file->is_regular && file->end >= (file->windows + 1) * WINDOW_BYTES) {
        sync_file_range(file->fd, file->windows * WINDOW_BYTES, WINDOW_BYTES,
                        SYNC_FILE_RANGE_WRITE);
        const int64_t old = (file->windows - WINDOWS_BEHIND) * WINDOW_BYTES;
        if (old >= 0) {
            sync_file_range(file->fd, old, WINDOW_BYTES,
                            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                SYNC_FILE_RANGE_WAIT_AFTER);
            posix_fadvise(file->fd, old, WINDOW_BYTES, POSIX_FADV_DONTNEED);
        }
        file->windows++;
    }
}

/* Writing. */

/* Until some bytes fit into the pipe; POLLOUT promises PIPE_BUF of them (pipe(7)). */
static int wait_for_pipe(const struct output_file *file) {
    for (;;) {
        struct pollfd pipe = {.fd = file->fd, .events = POLLOUT};
        if (is_interrupted(file))
            return AVERROR_EXIT;
        if (poll(&pipe, 1, SLICE_MS) > 0)
            return 0;
    }
}

static int write_some(struct output_file *file, const uint8_t *bytes, size_t count) {
    if (file->is_regular) {
        const ssize_t written = pwrite(file->fd, bytes, count, file->at);
        return written < 0 ? -errno : (int)written;
    }
    const int result = wait_for_pipe(file);
    if (result < 0)
        return result;
    const ssize_t written =
        write(file->fd, bytes, count < PIPE_WRITE_BYTES ? count : PIPE_WRITE_BYTES);
    return written < 0 ? -errno : (int)written;
}

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t written_byte;
#else
typedef uint8_t written_byte;
#endif

static int write_bytes(void *user, written_byte *bytes, int count) {
    struct output_file *file = user;
    if (file->error || file->is_cut)
        return file->error ? file->error : AVERROR(EIO);
    keep_room(file, file->at + count);
    for (int done = 0; done < count;) {
        const int written = write_some(file, bytes + done, (size_t)(count - done));
        if (written == -EINTR || written == -EAGAIN)
            continue;
        if (written < 0)
            return file->error = written;
        done += written;
        file->at += written;
        if (file->end < file->at)
            file->end = file->at;
    }
    relieve_cache(file);
    return count;
}

static int64_t seek(void *user, int64_t offset, int whence) {
    struct output_file *file = user;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return file->end;
    case SEEK_CUR:
        offset += file->at;
        break;
    case SEEK_END:
        offset += file->end;
        break;
    case SEEK_SET:
        break;
    default:
        return AVERROR(EINVAL);
    }
    return offset < 0 ? AVERROR(EINVAL) : (file->at = offset);
}

/* Life. */

static bool has_folder(const char *path) {
    struct stat what;
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    return stat(folder, &what) == 0;
}

static int open_path(const char *path, bool is_overwriting, const struct output_file *file) {
    struct stat what;
    const bool is_there = stat(path, &what) == 0;
    const bool is_special = is_there && !S_ISREG(what.st_mode) && !S_ISDIR(what.st_mode);
    for (;;) {
        /* A FIFO without a reader would keep us in the call. */
        const int flags = is_special       ? O_NONBLOCK
                          : is_overwriting ? O_CREAT | O_TRUNC
                                           : O_CREAT | O_EXCL;
        const int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
        if (fd >= 0)
            return fd;
        if (errno == EEXIST)
            return fault_set(-EEXIST, "%s exists: take another name, or add --overwrite", path);
        if (errno == ENXIO && is_there && S_ISFIFO(what.st_mode) && !is_interrupted(file)) {
            poll(NULL, 0, SLICE_MS);
            continue;
        }
        const int error = errno == ENXIO && is_interrupted(file) ? -EINTR : -errno;
        return fault_set(error, "%s cannot be written: %s%s", path, fault_describe(AVERROR(errno)),
                         error == -ENOENT && !has_folder(path) ? " (make its directory first)"
                                                               : "");
    }
}

/* Our own view of standard output may be told not to block; others' of it stay as they are. */
static int open_standard_output(void) {
    int fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_APPEND);
    if (fd < 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? fault_set(-errno, "standard output cannot be written: %s",
                              fault_describe(AVERROR(errno)))
                  : fd;
}

int output_file_open(const char *path, bool is_overwriting, AVIOInterruptCB interrupt,
                     struct output_file **out_file) {
    struct output_file *file = calloc(1, sizeof(*file));
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    if (!file || !buffer)
        goto no_memory;
    file->interrupt = interrupt;
    file->fd = path ? open_path(path, is_overwriting, file) : open_standard_output();
    if (file->fd < 0) {
        const int result = file->fd;
        av_free(buffer);
        free(file);
        return result;
    }
    struct stat what;
    file->is_regular = path && fstat(file->fd, &what) == 0 && S_ISREG(what.st_mode);
    file->context = avio_alloc_context(buffer, BUFFER_BYTES, 1, file, NULL, write_bytes,
                                       file->is_regular ? seek : NULL);
    if (!file->context) {
        close(file->fd);
        goto no_memory;
    }
    *out_file = file;
    return 0;

no_memory:
    av_free(buffer);
    free(file);
    return fault_set(-ENOMEM, "no memory for an output");
}

int output_file_close(struct output_file *file) {
    avio_flush(file->context);
    int result = file->error;
    /* Gives back what is reserved behind the end. */
    if (file->is_regular && ftruncate(file->fd, file->end) < 0 && result == 0)
        result = -errno;
    /* Some file systems tell only now that the bytes did not get there. */
    if (close(file->fd) < 0 && errno != EINTR && result == 0)
        result = -errno;
    av_freep(&file->context->buffer);
    avio_context_free(&file->context);
    free(file);
    return result;
}

bool output_file_discard(struct output_file *file) {
    const bool is_regular = file->is_regular;
    file->error = file->error ? file->error : -EIO; /* what is buffered goes nowhere */
    output_file_close(file);
    return is_regular;
}

AVIOContext *output_file_context(struct output_file *file) {
    return file->context;
}

void output_file_mark_whole(struct output_file *file) {
    if (!file->error)
        file->whole = file->end;
}

void output_file_cut_back(struct output_file *file) {
    file->is_cut = true;
    if (file->is_regular && file->whole < file->end && ftruncate(file->fd, file->whole) == 0)
        file->end = file->whole;
}

int output_file_check_room(struct output_file *file, uint64_t bytes) {
    const int64_t end = file->whole + (int64_t)bytes;
    keep_room(file, end < file->end ? file->end : end);
    return file->room_error;
}

bool output_file_is_regular(const struct output_file *file) {
    return file->is_regular;
}

uint64_t output_file_whole(const struct output_file *file) {
    return file->is_regular ? (uint64_t)file->whole : 0;
}

bool output_file_has_failed(const struct output_file *file) {
    return file->error != 0;
}

uint64_t output_file_bytes(const struct output_file *file) {
    return (uint64_t)file->end;
}
