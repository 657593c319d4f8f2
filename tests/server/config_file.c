/* Pipeline files on disk, and what of a changed one needs a restart. */
#include "config_rig.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../library/suite.h"

#define NODE "[consumer a]\ncommand = x\n"

/* Files. */

struct place {
    char folder[64];
    char file[96];
};

static struct place make_place(void) {
    struct place place = {.folder = "/tmp/shmframe-config-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(place.folder));
    snprintf(place.file, sizeof(place.file), "%s/p.ini", place.folder);
    return place;
}

static void remove_place(const struct place *place) {
    unlink(place->file);
    ck_assert_int_eq(rmdir(place->folder), 0);
}

static void write_file(const char *file, const char *text, off_t bytes) {
    const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    if (bytes)
        ck_assert_int_eq(ftruncate(fd, bytes), 0);
    close(fd);
}

/* What is told of a file as a whole; "" if it is right. */
static void check_file(const char *file, const char *expected) {
    struct config config;
    struct config_problems problems;
    const int result = config_load(file, &config, &problems);
    ck_assert_int_eq(result, *expected ? -EINVAL : 0);
    ck_assert_uint_eq(problems.count, *expected ? 1 : 0);
    if (*expected)
        ck_assert_str_eq(problems.problem[0].text, expected);
    config_problems_destroy(&problems);
    config_destroy(&config);
}

START_TEST(files_that_cannot_be_read_are_told) {
    const struct place place = make_place();
    check_file(place.file, "it cannot be read: No such file or directory");
    check_file(place.folder, "expected a file, not a folder");
    ck_assert_int_eq(mkfifo(place.file, 0600), 0);
    check_file(place.file, "expected a regular file");
    ck_assert_int_eq(unlink(place.file), 0);
    write_file(place.file, NODE, 0);
    check_file(place.file, "");
    write_file(place.file, NODE, (1 << 20) + 1);
    check_file(place.file, "expected a file of at most 1048576 bytes");
    ck_assert_int_eq(truncate(place.file, 0), 0);
    check_file(place.file, "expected a section such as [producer cam]: it has none");
    remove_place(&place);
}
END_TEST

START_TEST(paths_begin_in_the_files_folder) {
    const struct place place = make_place();
    char expected[128];
    write_file(place.file, NODE "directory = .\nlog = ./x.log\n", 0);
    struct config config;
    struct config_problems problems;
    ck_assert_int_eq(config_load(place.file, &config, &problems), 0);
    snprintf(expected, sizeof(expected), "%s/.", place.folder);
    ck_assert_str_eq(config.node[0].directory, expected);
    snprintf(expected, sizeof(expected), "%s/./x.log", place.folder);
    ck_assert_str_eq(config.node[0].log_path, expected);
    config_destroy(&config);
    remove_place(&place);
}
END_TEST

/* Reload. */

struct change {
    const char *before, *after;
    bool needs_restart, applies_same;
};

START_TEST(a_reload_tells_what_needs_a_restart) {
    static const struct change changes[] = {
        {"", "", false, true},
        {"# comment", "nice = 0\n", true, true},
        {"environment = A=1", "environment = A=2", true, true},
        {"environment = A=1", "", true, true},
        {"user = nobody", "", true, true},
        {"user = nobody", "user = 65534", false, true},
        {"group = daemon", "group = root", true, true},
        {"directory = /usr", "directory = /tmp", true, true},
        {"cpus = 0", "", true, true},
        {"scheduling = batch", "scheduling = idle", true, true},
        {"scheduling = fifo:1", "scheduling = fifo:2", true, true},
        {"nice = 1", "nice = 2", true, true},
        {"limit = core=1", "limit = core=1:2", true, true},
        {"limit = core=1", "limit = nofile=1", true, true},
        {"limit = core=1", "", true, true},
        {"ready = fd:3", "ready = fd:4", true, true},
        {"ready = fd:3", "ready = none", true, false},
        {"ready = stream", "ready = none", false, false},
        {"log = none", "log = journal", true, true},
        {"log = ./a", "log = ./b", true, true},
        {"watchdog = 1s", "watchdog = 2s", true, true},
        {"watchdog = 1s", "watchdog = 1s\non-hang = restart", false, false},
        {"start = no", "", false, false},
        {"reads = r", "", false, false},
        {"reads = r", "reads = t", false, false},
        {"restart = no", "restart = always", false, false},
        {"restart-delay = 1s", "restart-delay = 2s", false, false},
        {"restart-delay-max = 1s", "restart-delay-max = 2s", false, false},
        {"restart-limit = 1/2s", "restart-limit = 2/2s", false, false},
        {"restart-limit = 1/2s", "restart-limit = 1/3s", false, false},
        {"ready-timeout = 1s", "ready-timeout = 2s", false, false},
        {"stop-signal = INT", "", false, false},
        {"stop-timeout = 1s", "stop-timeout = 2s", false, false},
        {"hold-limit = 1s", "hold-limit = 2s", false, false},
        {"on-hold = evict", "", false, false},
        {"stall-limit = 1s", "stall-limit = 2s", false, false},
        {"on-stall = restart", "", false, false},
    };
    for (size_t i = 0; i < SUITE_COUNT(changes); i++) {
        /* Others than oneself can be named by root only. */
        if (geteuid() != 0 && (strncmp(changes[i].before, "user", 4) == 0 ||
                               strncmp(changes[i].before, "group", 5) == 0))
            continue;
        char before[256], after[256];
        static const char form[] =
            "[stream r]\n[stream t]\n[filter a]\ncommand = x\nwrites = s\n%s\n";
        snprintf(before, sizeof(before), form, changes[i].before);
        snprintf(after, sizeof(after), form, changes[i].after);
        struct config old = parse(before), new_config = parse(after);
        const struct config_node *from = &old.node[0], *to = &new_config.node[0];
        ck_assert_msg(config_node_needs_restart(from, to) == changes[i].needs_restart &&
                          config_node_needs_restart(to, from) == changes[i].needs_restart,
                      "\"%s\" to \"%s\": restart", changes[i].before, changes[i].after);
        ck_assert_msg(config_node_applies_same(from, to) == changes[i].applies_same &&
                          config_node_applies_same(to, from) == changes[i].applies_same,
                      "\"%s\" to \"%s\": the rest", changes[i].before, changes[i].after);
        config_destroy(&old);
        config_destroy(&new_config);
    }
    struct config old = parse("[filter a]\ncommand = x y\nwrites = s\n");
    struct config same = parse("[producer a]\ncommand =  x\n  y\nwrites = s\n");
    struct config other = parse("[filter a]\ncommand = x z\nwrites = t\n");
    ck_assert(!config_node_needs_restart(&old.node[0], &same.node[0]));
    ck_assert(!config_node_applies_same(&old.node[0], &same.node[0]));
    ck_assert(config_node_needs_restart(&old.node[0], &other.node[0]));
    ck_assert(!config_node_applies_same(&old.node[0], &other.node[0]));
    config_destroy(&old);
    config_destroy(&same);
    config_destroy(&other);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {files_that_cannot_be_read_are_told},
        {paths_begin_in_the_files_folder},
        {a_reload_tells_what_needs_a_restart},
    };
    return suite_run("config_file", tests, SUITE_COUNT(tests));
}
