/* Kernel: what the library and the supervisor use of it, found out by trying. A version number says
 * little where a distribution added things, or a container's filter takes them away. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Newer than some headers that this is built with. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Without any word to wait on, -EINVAL is what the call itself says; a filter says something else.
 */
static bool has_futex_waitv(void) {
    return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == EINVAL;
}

static bool is_sealed(int fd) {
    struct statfs info;
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    if (ftruncate(fd, 4096) < 0 || fstatfs(fd, &info) < 0 ||
        (unsigned long)info.f_type != TMPFS_MAGIC || fcntl(fd, F_ADD_SEALS, seals) < 0)
        return false;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED)
        munmap(page, 4096);
    return page == MAP_FAILED;
}

static bool has_sealed_memory(void) {
    const int fd = memfd_create("shmframe-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const bool is_good = fd >= 0 && is_sealed(fd);
    if (fd >= 0)
        close(fd);
    return is_good;
}

static bool has_noexec_memory(void) {
    const int fd =
        memfd_create("shmframe-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool has_pidfd(void) {
    const int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool has_peer_pidfd(void) {
    int pair[2], pidfd = -1;
    socklen_t length = sizeof(pidfd);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    const bool is_good = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0;
    if (is_good)
        close(pidfd);
    close(pair[0]);
    close(pair[1]);
    return is_good;
}

/* struct pidfd_info of linux/pidfd.h, as long as it was when exit codes came into it. */
struct exit_info {
    uint64_t mask, cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
#define EXIT_INFO_MASK UINT64_C(8)                       /* PIDFD_INFO_EXIT */
#define GET_EXIT_INFO  _IOWR(0xFF, 11, struct exit_info) /* PIDFD_GET_INFO */

/* The status of a process whose parent has taken it already. */
static bool has_exit_info(void) {
    const pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return false;
    const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    waitpid(pid, NULL, 0);
    struct exit_info info = {.mask = EXIT_INFO_MASK};
    const bool is_good =
        fd >= 0 && ioctl(fd, GET_EXIT_INFO, &info) == 0 && (info.mask & EXIT_INFO_MASK);
    if (fd >= 0)
        close(fd);
    return is_good;
}

static const struct feature {
    const char *name;
    const char *since; /* Linux */
    const char *use;
    bool (*is_there)(void);
    bool is_needed;
    const char *cost; /* where it is missing */
} features[] = {
    {"futex_waitv", "5.16", "sleeping on a frame and on the supervisor at once", has_futex_waitv,
     true, "no program of shmframe works"},
    {"sealed-memory", "5.1", "memory that nobody but its writer can ever write", has_sealed_memory,
     true, "no program of shmframe works"},
    {"pidfd", "5.3", "a death is known at once and never mistaken", has_pidfd, true,
     "the supervisor cannot tell who has died"},
    {"noexec-memory", "6.3", "frames cannot be executed", has_noexec_memory, false,
     "none in time: memory is made without that seal"},
    {"peer-pidfd", "6.5", "the kernel itself says which process a socket belongs to",
     has_peer_pidfd, false,
     "none in time: a pid is looked up, and checked by its start time, instead"},
    {"exit-info", "6.15", "a restarted supervisor learns how a node ended that is reaped already",
     has_exit_info, false,
     "how a node ended that outlived its supervisor may not be known: it counts as a failure"},
};

void doctor_look_at_kernel(struct findings *findings) {
    struct utsname name;
    uname(&name);
    findings_add(findings, "kernel", "version", "%s %s, %s", name.sysname, name.release,
                 name.version);
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        const struct feature *feature = &features[i];
        const bool is_there = feature->is_there();
        struct finding *finding = findings_add(findings, "kernel", feature->name, "%s: %s",
                                               is_there ? "there" : "missing", feature->use);
        finding_set_figure(finding, "is_there", is_there);
        char remedy[200];
        snprintf(remedy, sizeof(remedy), "Linux %s or newer%s", feature->since,
                 feature->is_needed ? "; in a container, a seccomp profile that allows it" : "");
        if (!is_there)
            finding_set_trouble(finding, feature->is_needed ? FINDING_FAILURE : FINDING_NOTE,
                                feature->cost, remedy);
    }
}
