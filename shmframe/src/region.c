#include "region.h"

#include "error.h"
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Newer than some libc headers that this is built with. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { SEALS_SIZE = F_SEAL_SHRINK | F_SEAL_GROW, SEALS_END = F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };

static int seals_of(enum region_seal seal) {
    return seal == REGION_SEALED ? SEALS_SIZE | SEALS_END : SEALS_SIZE;
}

/* A memfd of no use to other uids by way of /proc: an open of it checks its mode, which would be
 * 0777 or 0666 by default. */
static int open_memfd(const char *name) {
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create(name, flags);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0400) < 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}

/* ftruncate() beyond this limit would raise SIGXFSZ, which ends a process. */
static bool exceeds_file_limit(size_t bytes) {
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           bytes > limit.rlim_cur;
}

static int map_fd(int fd, size_t bytes, int protection, struct region *out_region) {
    void *base = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    /* A child of ours must not become a second writer, or keep the memory of a dead stream. */
    if (madvise(base, bytes, MADV_DONTFORK) < 0) {
        int code = -errno;
        munmap(base, bytes);
        return code;
    }
    madvise(base, bytes, MADV_DONTDUMP); /* what is seen and heard is nothing for a core file */
    *out_region = (struct region){.base = base, .bytes = bytes};
    return 0;
}

static int create_failed(const char *name, size_t bytes, int code) {
    switch (code) {
    case -EMFILE:
    case -ENFILE:
        return error_kernel(-code, "%s", name);
    case -EFBIG:
        return error_set(-ENOMEM, "%s: %zu bytes exceed what a file may have; see `ulimit -f`",
                         name, bytes);
    case -ENOMEM:
        return error_set(code,
                         "%s: no memory file of %zu bytes; take a smaller format or ring_bytes, or "
                         "see `ulimit -v`",
                         name, bytes);
    default:
        return error_set(-ENOMEM, "%s: no memory file of %zu bytes: %s", name, bytes,
                         strerror(-code));
    }
}

int region_create(const char *name, size_t bytes, struct region *out_region, int *out_fd) {
    if (bytes > INT64_MAX || exceeds_file_limit(bytes))
        return create_failed(name, bytes, -EFBIG);
    int fd = open_memfd(name);
    if (fd < 0)
        return create_failed(name, bytes, fd);
    int code;
    do {
        code = ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
    } while (code == -EINTR);
    if (code == 0)
        code = map_fd(fd, bytes, PROT_READ | PROT_WRITE, out_region);
    if (code < 0) {
        close(fd);
        return create_failed(name, bytes, code);
    }
    *out_fd = fd;
    return 0;
}

int region_seal(int fd, enum region_seal seal) {
    if (fcntl(fd, F_ADD_SEALS, seals_of(seal)) == 0)
        return 0;
    if (errno == ENOMEM)
        return error_kernel(errno, "memory cannot be sealed");
    return error_set(-ENOTSUP, "memory cannot be sealed: %s; Linux 5.16 or newer is needed",
                     strerror(errno));
}

/* Seals exist on other files of tmpfs and on huge pages too. The former cannot carry ours; the
 * latter can, and raise SIGBUS when the pool of huge pages runs dry. */
static int check_plain_memory(int fd, struct stat *out_info) {
    struct statfs system;
    int code;
    do {
        code = fstat(fd, out_info) < 0 || fstatfs(fd, &system) < 0 ? -errno : 0;
    } while (code == -EINTR);
    if (code == -ENOMEM)
        return error_kernel(-code, "a memory file cannot be looked at");
    if (code < 0 || !S_ISREG(out_info->st_mode) || (unsigned long)system.f_type != TMPFS_MAGIC)
        return error_set(-EPROTO, "a descriptor is not a memory file");
    return 0;
}

static bool has_access(int fd, enum region_seal seal) {
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    return seal == REGION_LEASE ? mode == O_RDWR : mode != O_WRONLY;
}

int region_check(int fd, enum region_seal seal, size_t bytes, size_t *out_bytes) {
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat info;
    if (seals < 0)
        return error_set(-EPROTO, "a descriptor is not a memory file");
    int code = check_plain_memory(fd, &info);
    if (code < 0)
        return code;
    int wanted = seals_of(seal);
    if ((seals & ~F_SEAL_EXEC) != wanted)
        return error_set(-EPROTO, "a memory file has seals 0x%x instead of 0x%x",
                         (unsigned)seals & ~(unsigned)F_SEAL_EXEC, (unsigned)wanted);
    if (!has_access(fd, seal))
        return error_set(-EPROTO, "a memory file's descriptor is not open for %s",
                         seal == REGION_LEASE ? "reading and writing" : "reading");
    if (info.st_size <= 0 || (bytes != 0 && (uint64_t)info.st_size != bytes))
        return error_set(-EPROTO, "a memory file has %lld bytes instead of %zu",
                         (long long)info.st_size, bytes);
    if (out_bytes)
        *out_bytes = (size_t)info.st_size;
    return 0;
}

int region_map(int fd, size_t bytes, struct region *out_region) {
    int code = map_fd(fd, bytes, PROT_READ, out_region);
    if (code == -ENOMEM)
        return error_set(
            code,
            "%zu bytes of memory cannot be mapped; take a smaller format or ring_bytes "
            "at the writer, or see `ulimit -v`",
            bytes);
    return code < 0 ? error_kernel(-code, "%zu bytes cannot be mapped", bytes) : 0;
}

int region_map_lease(int fd, size_t bytes, struct region *out_region) {
    struct region region;
    int code = map_fd(fd, bytes, PROT_READ | PROT_WRITE, &region);
    if (code == -EPERM || code == -EACCES)
        return error_set(-EPROTO, "a lease page cannot be mapped for writing: %s", strerror(-code));
    if (code < 0)
        return error_kernel(-code, "a lease page cannot be mapped");
    STEP(LEASE_MAPPED);
    if (fcntl(fd, F_ADD_SEALS, SEALS_END) < 0) {
        code = errno == ENOMEM
                   ? error_kernel(errno, "a lease page cannot be sealed")
                   : error_set(-EPROTO, "a lease page cannot be sealed: %s", strerror(errno));
        region_unmap(&region);
        return code;
    }
    STEP(LEASE_SEALED);
    *out_region = region;
    return 0;
}

void region_unmap(struct region *region) {
    if (region->base)
        munmap(region->base, region->bytes);
    *region = (struct region){0};
}

int region_populate(const struct region *region, uint64_t offset, uint64_t bytes,
                    bool is_writable) {
    if (offset > region->bytes || bytes > region->bytes - offset)
        return error_set(-EINVAL, "bytes %llu to %llu are not in a region of %zu",
                         (unsigned long long)offset, (unsigned long long)offset + bytes,
                         region->bytes);
    if (bytes == 0)
        return 0;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const uint64_t begin = offset / page * page;
    const uint64_t length = offset - begin + bytes;
    const int advice = is_writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    int result;
    do {
        result = madvise((uint8_t *)region->base + begin, length, advice);
    } while (result < 0 && (errno == EINTR || errno == EAGAIN));
    if (result < 0)
        return error_set(-ENOMEM, "no memory for %llu bytes of frames: %s",
                         (unsigned long long)bytes, strerror(errno));
    return 0;
}

int region_create_page(const char *name, size_t bytes, enum region_seal seal,
                       struct region *out_region, int *out_fd) {
    struct region region;
    int fd;
    int code = region_create(name, bytes, &region, &fd);
    if (code < 0)
        return code;
    /* All of it now: no memory later would be a signal instead of an error. */
    code = region_populate(&region, 0, bytes, true);
    if (code == 0)
        code = region_seal(fd, seal);
    if (code < 0) {
        region_unmap(&region);
        close(fd);
        return code;
    }
    *out_region = region;
    *out_fd = fd;
    return 0;
}

uint64_t region_memory_bytes(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
}
