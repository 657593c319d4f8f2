/* Pipeline files: what each key makes, and what is watched. */
#include "config_rig.h"

#include <check.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../library/suite.h"

/* Right files. */

START_TEST(a_node_without_more_than_a_command_has_the_defaults) {
    struct config config = parse("[producer cam]\ncommand = shmframe pattern\n");
    const struct config_node *node = config_find_node(&config, "cam");
    ck_assert_uint_eq(config.nodes, 1);
    ck_assert_uint_eq(config.streams, 0);
    ck_assert_int_eq(node->kind, CONFIG_PRODUCER);
    ck_assert_uint_eq(node->line, 1);
    ck_assert_str_eq(node->command, "shmframe pattern");
    ck_assert_str_eq(node->shell_line, "exec shmframe pattern");
    ck_assert(node->is_started && !node->user && !node->has_group && !node->directory);
    ck_assert(!node->has_cpus && !node->has_scheduling && !node->has_nice && !node->rlimits);
    ck_assert(!node->environment.count && !node->reads.count && !node->writes.count);
    ck_assert_int_eq(node->ready, CONFIG_READY_NONE);
    ck_assert_int_eq(node->stop_signal, SIGTERM);
    ck_assert_int_eq(node->log, CONFIG_LOG_INHERIT);
    ck_assert_int_eq(node->policy.restart, POLICY_RESTART_ON_FAILURE);
    ck_assert_int_eq(node->policy.delay_ns, SECOND_NS / 5);
    ck_assert_int_eq(node->policy.delay_max_ns, 10 * SECOND_NS);
    ck_assert_uint_eq(node->policy.burst_starts, 5);
    ck_assert_int_eq(node->policy.burst_interval_ns, 30 * SECOND_NS);
    ck_assert_int_eq(node->policy.ready_timeout_ns, 30 * SECOND_NS);
    ck_assert_int_eq(node->policy.stop_timeout_ns, 5 * SECOND_NS);
    ck_assert_int_eq(node->watchdog.limit_ns, 0);
    ck_assert_int_eq(node->hold.limit_ns, CONFIG_LIMIT_UNSET);
    ck_assert_int_eq(node->stall.limit_ns, CONFIG_LIMIT_UNSET);
    config_destroy(&config);
}
END_TEST

START_TEST(every_key_makes_what_it_says) {
    struct config config = parse("[stream in]\n"
                                 "[filter a]\n"
                                 "command = work\n"
                                 "environment = A=1 2\n"
                                 "environment = B=\n"
                                 "directory = /usr\n"
                                 "cpus = 0\n"
                                 "scheduling = fifo:20\n"
                                 "nice = -5\n"
                                 "limit = nofile=100 memlock=64M:unlimited\n"
                                 "limit = cpu=1m rttime=2ms core=0\n"
                                 "start = no\n"
                                 "reads = in\n"
                                 "writes = out, out.sound\n"
                                 "ready = fd:7\n"
                                 "ready-timeout = none\n"
                                 "restart = always\n"
                                 "restart-delay = 2\n"
                                 "restart-delay-max = 1m\n"
                                 "restart-limit = 7/2m\n"
                                 "stop-signal = int\n"
                                 "stop-timeout = 500ms\n"
                                 "log = ./a.log\n"
                                 "hold-limit = 3s\n"
                                 "on-hold = evict\n"
                                 "stall-limit = 4s\n"
                                 "on-stall = restart\n"
                                 "watchdog = 5s\n"
                                 "on-hang = restart\n");
    const struct config_node *node = config_find_node(&config, "a");
    ck_assert_int_eq(node->kind, CONFIG_FILTER);
    ck_assert_uint_eq(node->environment.count, 2);
    ck_assert_str_eq(node->environment.text[0], "A=1 2");
    ck_assert_str_eq(node->environment.text[1], "B=");
    ck_assert_ptr_null(node->environment.text[2]);
    ck_assert_str_eq(node->directory, "/usr");
    ck_assert(node->has_cpus);
    ck_assert_int_eq(CPU_COUNT(&node->cpus), 1);
    ck_assert(CPU_ISSET(0, &node->cpus));
    ck_assert(node->has_scheduling);
    ck_assert_int_eq(node->scheduling_policy, SCHED_FIFO);
    ck_assert_int_eq(node->scheduling_priority, 20);
    ck_assert(node->has_nice);
    ck_assert_int_eq(node->nice, -5);
    static const struct config_rlimit limits[] = {
        {RLIMIT_NOFILE, {100, 100}}, {RLIMIT_MEMLOCK, {64 << 20, RLIM_INFINITY}},
        {RLIMIT_CPU, {60, 60}},      {RLIMIT_RTTIME, {2000, 2000}},
        {RLIMIT_CORE, {0, 0}},
    };
    ck_assert_uint_eq(node->rlimits, SUITE_COUNT(limits));
    for (size_t i = 0; i < SUITE_COUNT(limits); i++) {
        ck_assert_int_eq(node->rlimit[i].resource, limits[i].resource);
        ck_assert_uint_eq(node->rlimit[i].value.rlim_cur, limits[i].value.rlim_cur);
        ck_assert_uint_eq(node->rlimit[i].value.rlim_max, limits[i].value.rlim_max);
    }
    ck_assert(!node->is_started);
    ck_assert_uint_eq(node->reads.count, 1);
    ck_assert_str_eq(node->reads.text[0], "in");
    ck_assert_uint_eq(node->writes.count, 2);
    ck_assert_str_eq(node->writes.text[0], "out");
    ck_assert_str_eq(node->writes.text[1], "out.sound");
    ck_assert_int_eq(node->ready, CONFIG_READY_FD);
    ck_assert_int_eq(node->ready_fd, 7);
    ck_assert_int_eq(node->policy.ready_timeout_ns, 0);
    ck_assert_int_eq(node->policy.restart, POLICY_RESTART_ALWAYS);
    ck_assert_int_eq(node->policy.delay_ns, 2 * SECOND_NS);
    ck_assert_int_eq(node->policy.delay_max_ns, 60 * SECOND_NS);
    ck_assert_uint_eq(node->policy.burst_starts, 7);
    ck_assert_int_eq(node->policy.burst_interval_ns, 120 * SECOND_NS);
    ck_assert_int_eq(node->stop_signal, SIGINT);
    ck_assert_int_eq(node->policy.stop_timeout_ns, SECOND_NS / 2);
    ck_assert_int_eq(node->log, CONFIG_LOG_FILE);
    ck_assert_str_eq(node->log_path, "/usr/./a.log");
    ck_assert_int_eq(node->hold.limit_ns, 3 * SECOND_NS);
    ck_assert_int_eq(node->hold.action, CONFIG_EVICT);
    ck_assert_int_eq(node->stall.limit_ns, 4 * SECOND_NS);
    ck_assert_int_eq(node->stall.action, CONFIG_RESTART);
    ck_assert_int_eq(node->watchdog.limit_ns, 5 * SECOND_NS);
    ck_assert_int_eq(node->watchdog.action, CONFIG_RESTART);
    /* Its streams are known, whether they have a section or not. */
    ck_assert_uint_eq(config.streams, 3);
    ck_assert_uint_eq(config_find_stream(&config, "in")->line, 1);
    ck_assert_uint_eq(config_find_stream(&config, "out.sound")->line, 0);
    ck_assert_ptr_eq(config_find_writer(&config, "out"), node);
    ck_assert_ptr_null(config_find_writer(&config, "in"));
    ck_assert_ptr_null(config_find_stream(&config, "other"));
    ck_assert_ptr_null(config_find_node(&config, "in"));
    config_destroy(&config);
}
END_TEST

START_TEST(words_of_each_kind_are_known) {
    static const struct {
        const char *line;
        size_t offset;
        int value;
    } cases[] = {
        {"restart = no", offsetof(struct config_node, policy.restart), POLICY_RESTART_NO},
        {"restart = on-failure", offsetof(struct config_node, policy.restart),
         POLICY_RESTART_ON_FAILURE},
        {"ready = none", offsetof(struct config_node, ready), CONFIG_READY_NONE},
        {"log = inherit", offsetof(struct config_node, log), CONFIG_LOG_INHERIT},
        {"log = none", offsetof(struct config_node, log), CONFIG_LOG_NONE},
        {"log = journal", offsetof(struct config_node, log), CONFIG_LOG_JOURNAL},
        {"log = /dev/null", offsetof(struct config_node, log), CONFIG_LOG_FILE},
        {"on-hold = report", offsetof(struct config_node, hold.action), CONFIG_REPORT},
        {"on-hold = restart", offsetof(struct config_node, hold.action), CONFIG_RESTART},
        {"scheduling = other", offsetof(struct config_node, scheduling_policy), SCHED_OTHER},
        {"scheduling = batch", offsetof(struct config_node, scheduling_policy), SCHED_BATCH},
        {"scheduling = idle", offsetof(struct config_node, scheduling_policy), SCHED_IDLE},
        {"scheduling = rr:1", offsetof(struct config_node, scheduling_policy), SCHED_RR},
        {"scheduling = fifo:99", offsetof(struct config_node, scheduling_priority), 99},
        {"stop-signal = SIGUSR1", offsetof(struct config_node, stop_signal), SIGUSR1},
        {"stop-signal = sigkill", offsetof(struct config_node, stop_signal), SIGKILL},
        {"stop-signal = HUP", offsetof(struct config_node, stop_signal), SIGHUP},
        {"nice = 19", offsetof(struct config_node, nice), 19},
        {"nice = -20", offsetof(struct config_node, nice), -20},
        {"restart-limit = none", offsetof(struct config_node, policy.burst_starts), 0},
        {"restart-limit = 100/1s", offsetof(struct config_node, policy.burst_starts), 100},
        {"ready = fd:3", offsetof(struct config_node, ready_fd), 3},
        {"ready = fd:255", offsetof(struct config_node, ready_fd), 255},
    };
    for (size_t i = 0; i < SUITE_COUNT(cases); i++) {
        struct config config = parse_key(cases[i].line);
        int value;
        memcpy(&value, (const char *)&config.node[0] + cases[i].offset, sizeof(value));
        ck_assert_msg(value == cases[i].value, "%s: %d", cases[i].line, value);
        config_destroy(&config);
    }
}
END_TEST

START_TEST(limits_have_units) {
    static const struct {
        const char *line;
        struct config_rlimit rlimit;
    } cases[] = {
        {"limit = memlock=123", {RLIMIT_MEMLOCK, {123, 123}}},
        {"limit = as=2K", {RLIMIT_AS, {2048, 2048}}},
        {"limit = stack=3G:4G", {RLIMIT_STACK, {UINT64_C(3) << 30, UINT64_C(4) << 30}}},
        {"limit = fsize=10000000000", {RLIMIT_FSIZE, {10000000000, 10000000000}}},
        {"limit = fsize=1T", {RLIMIT_FSIZE, {UINT64_C(1) << 40, UINT64_C(1) << 40}}},
        {"limit = nproc=unlimited", {RLIMIT_NPROC, {RLIM_INFINITY, RLIM_INFINITY}}},
        {"limit = rtprio=0:99", {RLIMIT_RTPRIO, {0, 99}}},
        {"limit = cpu=1500ms", {RLIMIT_CPU, {2, 2}}},
        {"limit = rttime=1s:unlimited", {RLIMIT_RTTIME, {1000000, RLIM_INFINITY}}},
    };
    for (size_t i = 0; i < SUITE_COUNT(cases); i++) {
        struct config config = parse_key(cases[i].line);
        const struct config_rlimit *rlimit = &config.node[0].rlimit[0];
        ck_assert_uint_eq(config.node[0].rlimits, 1);
        ck_assert_msg(rlimit->resource == cases[i].rlimit.resource &&
                          rlimit->value.rlim_cur == cases[i].rlimit.value.rlim_cur &&
                          rlimit->value.rlim_max == cases[i].rlimit.value.rlim_max,
                      "%s: %ju %ju", cases[i].line, (uintmax_t)rlimit->value.rlim_cur,
                      (uintmax_t)rlimit->value.rlim_max);
        config_destroy(&config);
    }
}
END_TEST

START_TEST(a_command_is_run_as_it_is_written) {
    static const struct {
        const char *text, *command, *shell_line;
    } cases[] = {
        {"command = a b", "a b", "exec a b"},
        {"command=a", "a", "exec a"},
        /* What begins a comment elsewhere is part of it. */
        {"command = a; b ; c", "a; b ; c", "a; b ; c"},
        {"command = a 'x ; y' # z", "a 'x ; y' # z", "exec a 'x ; y' # z"},
        {"command = ;a", ";a", ";a"},
        {"command = a x=y z:1", "a x=y z:1", "exec a x=y z:1"},
        {"command = X=1 a", "X=1 a", "X=1 a"},
        {"command = exec a b", "exec a b", "exec a b"},
        {"command = executor", "executor", "exec executor"},
        {"command = a $HOME ${B}", "a $HOME ${B}", "exec a $HOME ${B}"},
        /* It goes on in lines that begin with a blank, with or without a shell's backslash. */
        {"command = a\n  --b\n\t--c", "a --b --c", "exec a --b --c"},
        {"command = a \\\n  --b \\\n  --c", "a --b --c", "exec a --b --c"},
        {"command = a \\", "a \\", "exec a \\"},
        {"command = a\\\\\n  --b", "a\\\\ --b", "exec a\\\\ --b"},
        {"command =\n  a\n\n  # not this\n  b", "a b", "exec a b"},
        {"command = a\n  [ -f b ]\n  c=d", "a [ -f b ] c=d", "exec a [ -f b ] c=d"},
        {"command = a\r\n  b\r", "a b", "exec a b"},
        {"command = \"\xc3\xa4 \xff\"", "\"\xc3\xa4 \xff\"", "exec \"\xc3\xa4 \xff\""},
    };
    for (size_t i = 0; i < SUITE_COUNT(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "[producer a]\n%s\n", cases[i].text);
        struct config config = parse(text);
        ck_assert_str_eq(config.node[0].command, cases[i].command);
        ck_assert_str_eq(config.node[0].shell_line, cases[i].shell_line);
        config_destroy(&config);
    }
}
END_TEST

START_TEST(lists_take_an_item_a_line_or_several) {
    struct config config = parse("[stream a]\n[stream b]\n[stream c]\n"
                                 "[consumer x]\ncommand = x\n"
                                 "environment =\n  A=1 ; 2\n  b= 3\n"
                                 "environment = user=x\n"
                                 "reads = a,\n  b\n"
                                 "reads = c\n"
                                 "limit =\n nofile=1\n core=2\n");
    const struct config_node *node = &config.node[0];
    static const char *const variables[] = {"A=1 ; 2", "b= 3", "user=x"};
    ck_assert_uint_eq(node->environment.count, SUITE_COUNT(variables));
    for (size_t i = 0; i < SUITE_COUNT(variables); i++)
        ck_assert_str_eq(node->environment.text[i], variables[i]);
    ck_assert_uint_eq(node->reads.count, 3);
    ck_assert_str_eq(node->reads.text[2], "c");
    ck_assert_uint_eq(node->rlimits, 2);
    config_destroy(&config);
}
END_TEST

START_TEST(texts_of_every_kind_of_end_and_beginning_are_read) {
    static const char *const texts[] = {
        "[producer a]\ncommand = x",
        "\xef\xbb\xbf[producer a]\ncommand = x\n",
        "[producer a]\r\ncommand = x\r\n",
        "\n\n  \n# c\n; c\n  # c\n [ producer   a ] # c\ncommand=x\n",
        "[producer\ta]\ncommand\t=\tx\n",
        "[producer a]\n  command = x\n",
        "[producer a]\ncommand: x\n",
    };
    for (size_t i = 0; i < SUITE_COUNT(texts); i++) {
        struct config config = parse(texts[i]);
        ck_assert_uint_eq(config.nodes, 1);
        ck_assert_str_eq(config.node[0].name, "a");
        ck_assert_str_eq(config.node[0].command, "x");
        config_destroy(&config);
    }
}
END_TEST

START_TEST(a_first_key_with_a_blank_before_it_is_a_key_in_each_section) {
    struct config config = parse("[producer a]\n  command = x\n[producer b]\n  command = y\n");
    ck_assert_uint_eq(config.nodes, 2);
    ck_assert_str_eq(config.node[0].command, "x");
    ck_assert_str_eq(config.node[1].command, "y");
    config_destroy(&config);
}
END_TEST

START_TEST(names_and_lines_may_be_as_long_as_is_said) {
    char text[8192], name[64], long_line[4200];
    memset(name, 'n', 63);
    name[63] = '\0';
    memset(long_line, 'l', sizeof(long_line));
    snprintf(text, sizeof(text), "[producer %s]\ncommand = %.4085s\nwrites = %s\n", name, long_line,
             name);
    struct config config = parse(text);
    ck_assert_str_eq(config.node[0].name, name);
    ck_assert_uint_eq(strlen(config.node[0].command), 4085);
    ck_assert_str_eq(config.stream[0].name, name);
    config_destroy(&config);
}
END_TEST

START_TEST(writers_come_before_readers_whatever_the_order) {
    struct config config = parse("[consumer z]\ncommand = z\nreads = b, c\n"
                                 "[filter y]\ncommand = y\nreads = a\nwrites = b\n"
                                 "[producer w]\ncommand = w\n"
                                 "[filter x]\ncommand = x\nreads = a b\nwrites = c\n"
                                 "[producer v]\ncommand = v\nwrites = a\n");
    static const char *const expected[] = {"v", "y", "x", "z", "w"};
    for (size_t i = 0; i < SUITE_COUNT(expected); i++)
        ck_assert_str_eq(config.node[config.start_order[i]].name, expected[i]);
    ck_assert_int_eq(config_find_node(&config, "y")->ready, CONFIG_READY_STREAM);
    ck_assert_int_eq(config_find_node(&config, "z")->ready, CONFIG_READY_NONE);
    config_destroy(&config);
}
END_TEST

START_TEST(a_long_delay_raises_its_limit) {
    struct config config = parse_key("restart-delay = 1m");
    ck_assert_int_eq(config.node[0].policy.delay_max_ns, 60 * SECOND_NS);
    config_destroy(&config);
}
END_TEST

START_TEST(users_and_groups_are_named_or_numbered) {
    char line[64];
    snprintf(line, sizeof(line), "user = %u\ngroup = %u", geteuid(), getegid());
    struct config config = parse_key(line);
    const struct config_node *node = &config.node[0];
    ck_assert_str_eq(node->user, getpwuid(geteuid())->pw_name);
    ck_assert_str_eq(node->home, getpwuid(geteuid())->pw_dir);
    ck_assert_uint_eq(node->uid, geteuid());
    ck_assert_uint_eq(node->gid, getegid());
    ck_assert(node->has_group);
    config_destroy(&config);
    if (geteuid() != 0)
        return;
    static const char *const lines[] = {"user = nobody\ngroup = daemon",
                                        "group = daemon\nuser = nobody", "user = nobody"};
    for (size_t i = 0; i < SUITE_COUNT(lines); i++) {
        const struct passwd *nobody = getpwnam("nobody");
        config = parse_key(lines[i]);
        ck_assert_uint_eq(config.node[0].uid, nobody->pw_uid);
        ck_assert_uint_eq(config.node[0].gid, i < 2 ? 1 : nobody->pw_gid);
        ck_assert_int_eq(config.node[0].has_group, i < 2);
        config_destroy(&config);
    }
}
END_TEST

/* What is watched. */

static void check_watch(struct config_watch watch, int64_t limit_ns, enum config_action action) {
    ck_assert_int_eq(watch.limit_ns, limit_ns);
    ck_assert_int_eq(watch.action, action);
}

START_TEST(limits_are_the_nodes_then_the_streams_then_the_default) {
    struct config config = parse("[stream s]\nhold-limit = 2s\non-hold = evict\n"
                                 "stall-limit = 3s\non-stall = restart\n"
                                 "[stream t]\nhold-limit = none\nstall-limit = 0\n"
                                 "[producer p]\ncommand = p\nwrites = s\nstall-limit = 7s\n"
                                 "[producer once]\ncommand = p\nrestart = no\n"
                                 "[consumer c]\ncommand = c\nreads = s\nhold-limit = 9s\n"
                                 "[consumer d]\ncommand = c\nreads = s\non-hold = restart\n");
    const struct config_node *p = config_find_node(&config, "p");
    const struct config_node *once = config_find_node(&config, "once");
    const struct config_node *c = config_find_node(&config, "c");
    const struct config_node *d = config_find_node(&config, "d");

    check_watch(config_hold(&config, c, "s"), 9 * SECOND_NS, CONFIG_EVICT);
    check_watch(config_hold(&config, d, "s"), 2 * SECOND_NS, CONFIG_RESTART);
    check_watch(config_hold(&config, NULL, "s"), 2 * SECOND_NS, CONFIG_EVICT);
    check_watch(config_hold(&config, NULL, "t"), 0, CONFIG_REPORT);
    check_watch(config_hold(&config, NULL, "unknown"), SECOND_NS, CONFIG_REPORT);
    check_watch(config_hold(&config, c, "unknown"), 9 * SECOND_NS, CONFIG_REPORT);

    const int64_t period_ns = SECOND_NS / 60;
    check_watch(config_stall(&config, p, "s", period_ns), 7 * SECOND_NS, CONFIG_RESTART);
    /* Who is no node, or is not to be started again, is not restarted. */
    check_watch(config_stall(&config, NULL, "s", period_ns), 3 * SECOND_NS, CONFIG_REPORT);
    check_watch(config_stall(&config, once, "s", period_ns), 3 * SECOND_NS, CONFIG_REPORT);
    check_watch(config_stall(&config, NULL, "t", period_ns), 0, CONFIG_REPORT);
    check_watch(config_stall(&config, NULL, "unknown", period_ns), SECOND_NS, CONFIG_REPORT);
    check_watch(config_stall(&config, NULL, "unknown", SECOND_NS), 10 * SECOND_NS, CONFIG_REPORT);
    check_watch(config_stall(&config, NULL, "unknown", 0), 0, CONFIG_REPORT);
    check_watch(config_stall(&config, NULL, "unknown", INT64_MAX), INT64_MAX, CONFIG_REPORT);
    config_destroy(&config);
}
END_TEST

START_TEST(without_a_file_the_defaults_apply) {
    const struct config none = {0};
    check_watch(config_hold(&none, NULL, "s"), SECOND_NS, CONFIG_REPORT);
    check_watch(config_stall(&none, NULL, "s", 1), SECOND_NS, CONFIG_REPORT);
    ck_assert_ptr_null(config_find_node(&none, "a"));
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {a_node_without_more_than_a_command_has_the_defaults},
        {every_key_makes_what_it_says},
        {words_of_each_kind_are_known},
        {limits_have_units},
        {a_command_is_run_as_it_is_written},
        {lists_take_an_item_a_line_or_several},
        {texts_of_every_kind_of_end_and_beginning_are_read},
        {a_first_key_with_a_blank_before_it_is_a_key_in_each_section},
        {names_and_lines_may_be_as_long_as_is_said},
        {writers_come_before_readers_whatever_the_order},
        {a_long_delay_raises_its_limit},
        {users_and_groups_are_named_or_numbered},
        {limits_are_the_nodes_then_the_streams_then_the_default},
        {without_a_file_the_defaults_apply},
    };
    return suite_run("config", tests, SUITE_COUNT(tests));
}
