/* What a look at a peer's page costs, in instructions: a page that lies is no dearer than one that
 * is full of truth. */
#include "record.h"

#include "layout.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* What another process changes between two instructions of who looks. */
typedef void (*change_fn)(struct record_page *page, uint64_t step);

static struct record_page *page; /* shared with the child */

static void begin(void) {
    page = mmap(NULL, RECORD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
}

static void end(void) {
    munmap(page, RECORD_BYTES);
}

static void look(void) {
    struct shmframe_histogram histogram;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(2);
    raise(SIGSTOP);
    record_get_histogram(page, SHMFRAME_HOP_AGE, &histogram);
    raise(SIGSTOP);
    _exit(0);
}

/* Instructions of one look at the histogram; `most`, if there are as many. */
static uint64_t count_steps(change_fn change, uint64_t most) {
    int status;
    uint64_t steps = 0;
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        look();
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSTOPPED(status), "a child cannot be traced here: status 0x%x", status);
    for (;; steps++) {
        if (change)
            change(page, steps);
        ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP || steps == most)
            break;
    }
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return steps;
}

/* Every line of the flight recorder holds a frame. */
static void fill_flights(void) {
    for (uint64_t i = 0; i < SHMFRAME_FLIGHTS; i++) {
        atomic_store(&page->flight[i].sequence, i + 1);
        atomic_store(&page->flight[i].acquire_ns, (int64_t)i * 1000);
    }
}

static void claim(uint64_t folding, uint64_t folded, uint64_t taken) {
    atomic_store(&page->folding, folding);
    atomic_store(&page->folded, folded);
    atomic_store(&page->counter[RECORD_DELIVERED], taken);
}

/* As many frames wait to be folded as can. */
static uint64_t count_honest_steps(void) {
    fill_flights();
    claim(5000, 5000, 5000 + RECORD_DUE_MAX);
    const uint64_t steps = count_steps(NULL, UINT64_C(1) << 20);
    ck_assert_uint_lt(steps, UINT64_C(1) << 20);
    return steps;
}

START_TEST(a_record_with_more_frames_than_there_can_be_is_no_dearer) {
    static const struct {
        uint64_t folded, taken;
    } lies[] = {{0, UINT64_C(1) << 40},
                {5000, 5000 + RECORD_DUE_MAX + 1},
                {5000, 5000 + SHMFRAME_FLIGHTS},
                {5000, 4999},
                {UINT64_MAX, 1000},
                {UINT64_C(1) << 50, 5}};
    const uint64_t honest = count_honest_steps();
    for (unsigned i = 0; i < SUITE_COUNT(lies); i++) {
        claim(lies[i].folded, lies[i].folded, lies[i].taken);
        ck_assert_uint_le(count_steps(NULL, honest * 2), honest);
    }
}
END_TEST

START_TEST(a_record_that_never_ends_folding_is_little_dearer) {
    const uint64_t honest = count_honest_steps();
    claim(5001, 5000, 5100);
    ck_assert_uint_le(count_steps(NULL, honest * 8), honest * 3);
}
END_TEST

/* Each time by more than there are lines. */
static void take_all_the_time(struct record_page *shared, uint64_t step) {
    if (step % 100 == 99)
        atomic_fetch_add(&shared->counter[RECORD_DELIVERED], UINT64_C(1) << 20);
}

START_TEST(a_record_whose_frames_race_ahead_is_little_dearer) {
    const uint64_t honest = count_honest_steps();
    claim(5000, 5000, 5000);
    ck_assert_uint_le(count_steps(take_all_the_time, honest * 8), honest * 3);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("costs");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, a_record_with_more_frames_than_there_can_be_is_no_dearer);
    tcase_add_test(cases, a_record_that_never_ends_folding_is_little_dearer);
    tcase_add_test(cases, a_record_whose_frames_race_ahead_is_little_dearer);
    Suite *suite = suite_create("costs");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
