#include "region.h"

#include <shmframe/error.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"

enum { BYTES = 4 * 4096 };

static const int ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

static int make(struct region *region, enum region_seal seal) {
    int fd = -1;
    ck_assert_int_eq(region_create("test", BYTES, region, &fd), 0);
    ck_assert_int_eq(region_seal(fd, seal), 0);
    return fd;
}

/* A memfd with these seals. */
static int make_with_seals(int seals, size_t bytes) {
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

START_TEST(a_new_region_is_mapped_for_writing_and_has_no_memory_yet) {
    struct region region;
    int fd = make(&region, REGION_SEALED);
    ck_assert_uint_eq(region.bytes, BYTES);
    ck_assert_uint_eq(region_memory_bytes(fd), 0);
    memset(region.base, 7, 1);
    ck_assert_uint_eq(region_memory_bytes(fd), 4096);
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    region_unmap(&region);
    ck_assert_ptr_null(region.base);
    region_unmap(&region);
    close(fd);
}
END_TEST

START_TEST(a_sealed_region_is_written_through_its_first_mapping_only) {
    struct region writer, reader;
    int fd = make(&writer, REGION_SEALED);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES, NULL), 0);
    ck_assert_int_eq(region_map(fd, BYTES, &reader), 0);
    ((volatile char *)writer.base)[5] = 42;
    ck_assert_int_eq(((volatile char *)reader.base)[5], 42);

    ck_assert_ptr_eq(mmap(NULL, BYTES, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    ck_assert_int_eq(mprotect(reader.base, BYTES, PROT_READ | PROT_WRITE), -1);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
    ck_assert_int_eq(ftruncate(fd, 0), -1);
    ck_assert_int_eq(ftruncate(fd, 2 * BYTES), -1);
    ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);

    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR | O_CLOEXEC);
    if (again >= 0) { /* root may; the seal holds against it too */
        ck_assert_ptr_eq(mmap(NULL, BYTES, PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
        ck_assert_int_eq(pwrite(again, "x", 1, 0), -1);
        close(again);
    }
    region_unmap(&reader);
    region_unmap(&writer);
    close(fd);
}
END_TEST

START_TEST(other_users_cannot_open_a_region_by_its_mode) {
    struct region region;
    int fd = make(&region, REGION_SEALED);
    struct stat info;
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0400);
    region_unmap(&region);
    close(fd);
}
END_TEST

START_TEST(a_child_does_not_inherit_a_mapping) {
    struct region region;
    int fd = make(&region, REGION_SEALED);
    memset(region.base, 1, BYTES);
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) /* the kernel reads for us: no signal that a sanitizer would take */
        _exit(write(pipes[1], region.base, 1) == -1 && errno == EFAULT ? 0 : 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(pipes[0]);
    close(pipes[1]);
    region_unmap(&region);
    close(fd);
}
END_TEST

/* Each set of seals that lacks one, has one too many, or is that of the other kind. */
START_TEST(a_descriptor_with_wrong_seals_is_refused) {
    static const int lacking[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL};
    for (unsigned i = 0; i < sizeof(lacking) / sizeof(lacking[0]); i++) {
        int fd = make_with_seals(ALL_SEALS & ~lacking[i], BYTES);
        ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES, NULL), -EPROTO);
        ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "seals"));
        ck_assert_int_eq(region_check(fd, REGION_LEASE, BYTES, NULL), -EPROTO);
        close(fd);
    }
    static const int others[] = {0, F_SEAL_SHRINK, F_SEAL_GROW,
                                 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        int fd = make_with_seals(others[i], BYTES);
        ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES, NULL), -EPROTO);
        ck_assert_int_eq(region_check(fd, REGION_LEASE, BYTES, NULL), -EPROTO);
        close(fd);
    }
    int fd = make_with_seals(ALL_SEALS, BYTES);
    ck_assert_int_eq(region_check(fd, REGION_LEASE, BYTES, NULL), -EPROTO);
    close(fd);
}
END_TEST

START_TEST(a_descriptor_of_another_size_is_refused) {
    int fd = make_with_seals(ALL_SEALS, BYTES);
    size_t bytes = 0;
    ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES + 1, &bytes), -EPROTO);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES - 1, &bytes), -EPROTO);
    ck_assert_uint_eq(bytes, 0);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, 0, &bytes), 0);
    ck_assert_uint_eq(bytes, BYTES);
    close(fd);
    fd = make_with_seals(ALL_SEALS, 0);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, 0, NULL), -EPROTO);
    close(fd);
}
END_TEST

static void refuse(int fd) {
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, 0, NULL), -EPROTO);
    ck_assert_int_eq(region_check(fd, REGION_LEASE, 0, NULL), -EPROTO);
    close(fd);
}

START_TEST(what_is_not_a_memory_file_is_refused) {
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    refuse(pipes[0]);
    refuse(pipes[1]);
    refuse(open("/dev/null", O_RDWR | O_CLOEXEC));
    refuse(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    refuse(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    refuse(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(region_check(-1, REGION_SEALED, 0, NULL), -EPROTO);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "not a memory file"));
    int sealed = make_with_seals(ALL_SEALS, BYTES);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", sealed);
    refuse(open(path, O_PATH | O_CLOEXEC));
    close(sealed);
}
END_TEST

/* With all the seals, but of memory whose pages may not be there when they are touched. */
START_TEST(huge_pages_are_refused) {
    enum { HUGE_BYTES = 2 << 20 };
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (fd < 0 || ftruncate(fd, HUGE_BYTES) < 0)
        return; /* a kernel without them */
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, HUGE_BYTES, NULL), -EPROTO);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "not a memory file"));
    close(fd);
}
END_TEST

START_TEST(a_descriptor_without_the_access_it_needs_is_refused) {
    char path[64];
    int sealed = make_with_seals(ALL_SEALS, BYTES);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", sealed);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES, NULL), -EPROTO);
    close(fd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES, NULL), 0);
    close(fd);
    close(sealed);

    int lease = make_with_seals(F_SEAL_SHRINK | F_SEAL_GROW, BYTES);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", lease);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(region_check(fd, REGION_LEASE, BYTES, NULL), -EPROTO);
    close(fd);
    close(lease);
}
END_TEST

START_TEST(a_lease_page_has_its_last_writer_once_its_reader_mapped_it) {
    struct region maker, reader, third;
    int fd = make(&maker, REGION_LEASE);
    ck_assert_int_eq(region_check(fd, REGION_LEASE, BYTES, NULL), 0);
    region_unmap(&maker);
    ck_assert_int_eq(region_map_lease(fd, BYTES, &reader), 0);
    *(volatile char *)reader.base = 1;
    ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES, NULL), 0);
    ck_assert_int_eq(region_map_lease(fd, BYTES, &third), -EPROTO);
    ck_assert_int_eq(region_map(fd, BYTES, &third), 0);
    ck_assert_int_eq(*(volatile char *)third.base, 1);
    region_unmap(&third);
    region_unmap(&reader);
    close(fd);
}
END_TEST

START_TEST(populate_backs_exactly_the_pages_it_is_asked_for) {
    struct region region;
    int fd = make(&region, REGION_SEALED);
    ck_assert_int_eq(region_populate(&region, 4096, 1, true), 0);
    ck_assert_uint_eq(region_memory_bytes(fd), 4096);
    ck_assert_int_eq(region_populate(&region, 4095, 2, true), 0);
    ck_assert_uint_eq(region_memory_bytes(fd), 2 * 4096);
    ck_assert_int_eq(region_populate(&region, 0, 0, true), 0);
    ck_assert_int_eq(region_populate(&region, 0, BYTES, false), 0);
    ck_assert_uint_eq(region_memory_bytes(fd), BYTES);
    region_unmap(&region);
    close(fd);
}
END_TEST

START_TEST(populate_refuses_what_lies_outside) {
    struct region region;
    int fd = make(&region, REGION_SEALED);
    ck_assert_int_eq(region_populate(&region, 0, BYTES + 1, true), -EINVAL);
    ck_assert_int_eq(region_populate(&region, BYTES, 1, true), -EINVAL);
    ck_assert_int_eq(region_populate(&region, UINT64_MAX, 2, true), -EINVAL);
    ck_assert_int_eq(region_populate(&region, 4096, UINT64_MAX, true), -EINVAL);
    ck_assert_uint_eq(region_memory_bytes(fd), 0);
    region_unmap(&region);
    close(fd);
}
END_TEST

START_TEST(a_page_has_its_memory_and_its_seals_from_the_start) {
    struct region region;
    int fd = -1;
    ck_assert_int_eq(region_create_page("test", BYTES, REGION_SEALED, &region, &fd), 0);
    ck_assert_uint_eq(region.bytes, BYTES);
    ck_assert_uint_eq(region_memory_bytes(fd), BYTES);
    ck_assert_int_eq(region_check(fd, REGION_SEALED, BYTES, NULL), 0);
    *(volatile char *)region.base = 1;
    region_unmap(&region);
    close(fd);
}
END_TEST

START_TEST(shortages_are_errors_not_signals) {
    struct region region;
    int fd = -1;
    ck_assert_int_eq(region_create("test", SIZE_MAX, &region, &fd), -ENOMEM);
    struct rlimit limit, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(region_create("test", BYTES, &region, &fd), -ENOMEM);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

    /* More than any address space has, whatever the limits are. */
    const size_t too_much = (size_t)1 << 62;
    ck_assert_int_eq(region_create("test", too_much, &region, &fd), -ENOMEM);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "ring_bytes, or see `ulimit -v`"));
    ck_assert_int_eq(fd, -1);
    int memory = memfd_create("test", MFD_CLOEXEC);
    ck_assert_int_eq(region_map(memory, too_much, &region), -ENOMEM);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "at the writer, or see `ulimit -v`"));
    close(memory);

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
    int code = region_create("test", BYTES, &region, &fd);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(code, -EMFILE);
    ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(a_file_that_cannot_be_sealed_says_so) {
    int fd = memfd_create("test", MFD_CLOEXEC);
    ck_assert_int_eq(region_seal(fd, REGION_SEALED), -ENOTSUP);
    close(fd);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("region");
    tcase_add_checked_fixture(cases, descriptors_begin, descriptors_end);
    tcase_add_test(cases, a_new_region_is_mapped_for_writing_and_has_no_memory_yet);
    tcase_add_test(cases, a_sealed_region_is_written_through_its_first_mapping_only);
    tcase_add_test(cases, other_users_cannot_open_a_region_by_its_mode);
    tcase_add_test(cases, a_child_does_not_inherit_a_mapping);
    tcase_add_test(cases, a_descriptor_with_wrong_seals_is_refused);
    tcase_add_test(cases, a_descriptor_of_another_size_is_refused);
    tcase_add_test(cases, what_is_not_a_memory_file_is_refused);
    tcase_add_test(cases, huge_pages_are_refused);
    tcase_add_test(cases, a_descriptor_without_the_access_it_needs_is_refused);
    tcase_add_test(cases, a_lease_page_has_its_last_writer_once_its_reader_mapped_it);
    tcase_add_test(cases, populate_backs_exactly_the_pages_it_is_asked_for);
    tcase_add_test(cases, populate_refuses_what_lies_outside);
    tcase_add_test(cases, a_page_has_its_memory_and_its_seals_from_the_start);
    tcase_add_test(cases, shortages_are_errors_not_signals);
    tcase_add_test(cases, a_file_that_cannot_be_sealed_says_so);
    Suite *suite = suite_create("region");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
