/* Faults: one call of a program's control path fails, or comes back short.
 *
 * interpose.c is a shared object whose functions stand before those of the C library and of the
 * others that the product uses. Only calls from the product's own code count: from libshmframe, or,
 * where it is preloaded, from the program itself. It is this instead of wrappers at link time so
 * that library and supervisor are tested as they ship, and by one thing.
 *
 * A page that all processes of a test share says what is to fail and tells what was called. A place
 * is an address in the product's code; calls are counted a place.
 */
#ifndef TESTS_FAULTS_FAULT_H
#define TESTS_FAULTS_FAULT_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Not an errno: what was read or written is half of what was asked for. */
enum { FAULT_SHORT = 5000 };

/* The calls, and what each can fail with. Those that tell their error in the result are TOLD. */
#define FAULT_KINDS(CALL)                                                                          \
    CALL(malloc, ENOMEM)                                                                           \
    CALL(calloc, ENOMEM)                                                                           \
    CALL(realloc, ENOMEM)                                                                          \
    CALL(reallocarray, ENOMEM)                                                                     \
    CALL(strdup, ENOMEM)                                                                           \
    CALL(strndup, ENOMEM)                                                                          \
    CALL(asprintf, ENOMEM)                                                                         \
    CALL(vasprintf, ENOMEM)                                                                        \
    CALL(setenv, ENOMEM)                                                                           \
    CALL(open_memstream, ENOMEM)                                                                   \
    CALL(fdopen, ENOMEM)                                                                           \
    CALL(fopen, EMFILE, ENFILE, ENOMEM)                                                            \
    CALL(opendir, EMFILE, ENFILE, ENOMEM)                                                          \
    CALL(open, EMFILE, ENFILE, ENOMEM)                                                             \
    CALL(openat, EMFILE, ENFILE, ENOMEM, ENOSPC)                                                   \
    CALL(socket, EMFILE, ENFILE, ENOMEM, ENOBUFS)                                                  \
    CALL(socketpair, EMFILE, ENFILE, ENOMEM)                                                       \
    CALL(accept4, EMFILE, ENFILE, ENOMEM, EINTR, ECONNABORTED)                                     \
    CALL(pipe2, EMFILE, ENFILE)                                                                    \
    CALL(eventfd, EMFILE, ENFILE, ENOMEM)                                                          \
    CALL(epoll_create1, EMFILE, ENFILE, ENOMEM)                                                    \
    CALL(timerfd_create, EMFILE, ENFILE, ENOMEM)                                                   \
    CALL(timer_create, EAGAIN, ENOMEM)                                                             \
    CALL(memfd_create, EMFILE, ENFILE, ENOMEM)                                                     \
    CALL(pidfd_open, EMFILE, ENFILE, ENOMEM)                                                       \
    CALL(fcntl_dupfd, EMFILE, ENOMEM)                                                              \
    CALL(fcntl_add_seals, ENOMEM)                                                                  \
    CALL(peerpidfd, EMFILE, ENFILE, ENOMEM)                                                        \
    CALL(connect, EAGAIN, EINTR, ENOMEM, ECONNREFUSED)                                             \
    CALL(bind, ENOMEM, ENOSPC)                                                                     \
    CALL(listen, ENOBUFS)                                                                          \
    CALL(mmap, ENOMEM, ENFILE)                                                                     \
    CALL(madvise_dontfork, ENOMEM)                                                                 \
    CALL(madvise_populate, ENOMEM, EINTR, EAGAIN)                                                  \
    CALL(ftruncate, ENOMEM, EINTR, ENOSPC)                                                         \
    CALL(posix_fallocate, ENOSPC, EINTR)                                                           \
    CALL(fchmod, ENOMEM)                                                                           \
    CALL(fstat, ENOMEM)                                                                            \
    CALL(fstatfs, ENOMEM, EINTR)                                                                   \
    CALL(flock, EINTR, ENOLCK)                                                                     \
    CALL(renameat, EIO, ENOSPC)                                                                    \
    CALL(unlinkat, EIO, ENOMEM)                                                                    \
    CALL(fclose, EIO, ENOSPC)                                                                      \
    CALL(sendmsg, EINTR, EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS)                                    \
    CALL(recvmsg, EINTR, EAGAIN, ENOMEM, ENOBUFS)                                                  \
    CALL(send, EINTR, ENOBUFS, ENOMEM)                                                             \
    CALL(recv, EINTR, ENOMEM)                                                                      \
    CALL(read, EINTR, EIO, FAULT_SHORT)                                                            \
    CALL(write, EINTR, EIO, ENOSPC)                                                                \
    CALL(pread, EINTR, EIO, FAULT_SHORT)                                                           \
    CALL(pwrite, EINTR, EIO, ENOSPC, FAULT_SHORT)                                                  \
    CALL(epoll_ctl, ENOMEM, ENOSPC)                                                                \
    CALL(poll, EINTR, ENOMEM)                                                                      \
    CALL(ppoll, EINTR, ENOMEM)                                                                     \
    CALL(futex_wait, EINTR, EAGAIN)                                                                \
    CALL(futex_waitv, EINTR, EAGAIN, ENOMEM)                                                       \
    CALL(getrandom, EAGAIN)                                                                        \
    CALL(fork, EAGAIN, ENOMEM)                                                                     \
    CALL(waitpid, EINTR)                                                                           \
    CALL(pthread_create, EAGAIN)                                                                   \
    CALL(sd_event_new, ENOMEM)                                                                     \
    CALL(sd_event_add_io, ENOMEM, ENOSPC)                                                          \
    CALL(sd_event_add_time, ENOMEM)                                                                \
    CALL(sd_event_add_time_relative, ENOMEM)                                                       \
    CALL(sd_event_add_post, ENOMEM)                                                                \
    CALL(sd_event_add_signal, ENOMEM)                                                              \
    CALL(sd_event_source_set_priority, ENOMEM)                                                     \
    CALL(av_mallocz, ENOMEM)                                                                       \
    CALL(av_calloc, ENOMEM)                                                                        \
    CALL(av_buffer_create, ENOMEM)                                                                 \
    CALL(av_buffer_ref, ENOMEM)                                                                    \
    CALL(av_frame_alloc, ENOMEM)                                                                   \
    CALL(av_frame_clone, ENOMEM)                                                                   \
    CALL(av_frame_new_side_data, ENOMEM)                                                           \
    CALL(av_mastering_display_metadata_create_side_data, ENOMEM)                                   \
    CALL(av_content_light_metadata_create_side_data, ENOMEM)

#define FAULT_KIND(name, ...) FAULT_##name,
enum fault_kind { FAULT_KINDS(FAULT_KIND) FAULT_KIND_COUNT };
#undef FAULT_KIND

enum fault_mode { FAULT_OFF = 0, FAULT_COUNT, FAULT_FAIL };
enum { FAULT_PLACES_MAX = 2048, FAULT_TEXT_BYTES = 1024 };

struct fault_place {
    _Atomic uint64_t address; /* from the start of the product's file; 0: unused */
    _Atomic uint32_t kind;
    _Atomic uint32_t calls;
};

struct fault_page {
    _Atomic uint32_t mode;
    /* What is to fail: the nth call at `address`, from 1. */
    uint64_t address;
    uint32_t nth;
    int32_t error;
    _Atomic uint32_t fired;
    _Atomic int64_t allocations; /* of the product's, that are not freed yet */
    struct fault_place place[FAULT_PLACES_MAX];
    char text[FAULT_TEXT_BYTES]; /* what a process of the test found wrong */
    /* The call of the library that answered the fault with an error, and which. */
    char call[FAULT_TEXT_BYTES];
    int32_t code;
};

/* The page of this process; made at its start, from the file that $FAULT_PAGE names if that is set.
 */
struct fault_page *fault_page(void);

/* This thread's calls are never counted and never fail. */
void fault_exempt_thread(void);

#endif
