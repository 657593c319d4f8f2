/* Pipeline files: what each mistake is told as. */
#include "config_rig.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "../library/suite.h"

#define NODE      "[consumer a]\ncommand = x\n"
#define NAME_RULE "at most 63 of a-z, 0-9, \".\", \"_\" and \"-\", a letter or digit first"
#define SYNTAX    "expected KEY = VALUE, [KIND NAME] or a comment that begins with #\n"
#define TIME      "a time such as 10, 1.5s, 200ms, 50us or 3m"
#define LIMITS                                                                                     \
    "limits such as nofile=4096 or memlock=64M:unlimited, of as, core, cpu, fsize, memlock, "      \
    "nofile, nproc, rtprio, rttime, stack"
#define BURST "none, or starts and a time such as 5/30s, with at most 100 starts"

struct mistake {
    const char *text, *told;
};

static void check_mistakes(const struct mistake *mistakes, size_t count) {
    for (size_t i = 0; i < count; i++)
        check_told(mistakes[i].text, mistakes[i].told);
}

START_TEST(mistakes_of_form_are_told) {
    static const struct mistake mistakes[] = {
        {"", "0: expected a section such as [producer cam]: it has none\n"},
        {"# nothing\n\n", "0: expected a section such as [producer cam]: it has none\n"},
        {"command = x\n" NODE,
         "1: expected a section such as [producer cam] before the first key\n"},
        {NODE "word\n", "3: " SYNTAX},
        {NODE "word\nword", "3: " SYNTAX "4: " SYNTAX},
        {NODE "= x\n", "3: expected a key before the \"=\"\n"},
        {"[consumer a\ncommand = x\n" NODE,
         "1: expected a section such as [producer cam], not \"[consumer a\"\n"},
        {"[consumer]\n" NODE, "1: expected a section such as [producer cam], not \"[consumer]\"\n"},
        {"[]\n" NODE, "1: expected a section such as [producer cam], not \"[]\"\n"},
        {"[consumer b c]\n" NODE,
         "1: expected a section such as [producer cam], not \"[consumer b c]\"\n"},
        {"[consumer b] c\n" NODE,
         "1: expected a section such as [producer cam], not \"[consumer b] c\"\n"},
        {"[consumers b]\nx = y\n" NODE,
         "1: expected [producer NAME], [consumer NAME], [filter NAME] or [stream NAME], not "
         "\"consumers\"; near it is consumer\n"},
        /* What stands below a wrong name is looked at all the same. */
        {"[consumer B]\ncommand = x\nnice = 99\n" NODE,
         "1: expected a name such as cam: " NAME_RULE "; not \"B\"\n"
         "3: nice: expected a whole number from -20 to 19, not \"99\"\n"},
        {"[consumer b\x01]\n" NODE, "1: expected text, not the byte 0x01 (column 12)\n"},
        /* What follows is not the former section's. */
        {NODE "[consumer b\x01]\ncommand = y\n",
         "3: expected text, not the byte 0x01 (column 12)\n"},
        {NODE "log = a\x7f\n", "3: expected text, not the byte 0x7f (column 8)\n"},
        {"[consumer a]\rcommand = x\r", "1: expected text, not the byte 0x0d (column 13)\n"},
        {NODE "comand = x\n",
         "3: expected a key of a consumer, not \"comand\"; near it is command\n"},
        {NODE "COMAND = x\n",
         "3: expected a key of a consumer, not \"COMAND\"; near it is command\n"},
        {NODE "zzz = x\n  y\n", "3: expected a key of a consumer, not \"zzz\"\n"},
        {NODE "command = y\n", "3: expected \"command\" once; it is in line 2 already\n"},
        {NODE "  nice = 5\n",
         "3: expected no blank before \"nice = 5\": so it goes on with the value of \"command\"\n"},
        {NODE "  [consumer b]\n",
         "3: expected no blank before \"[consumer b]\": so it goes on with "
         "the value of \"command\"\n"},
        {"[consumer a]\n  command = x\n  nice = 5\n  user = root\n",
         "3: expected no blank before \"nice = 5\": so it goes on with the value of \"command\"\n"
         "4: expected no blank before \"user = root\": so it goes on with the value of "
         "\"command\"\n"},
        {NODE NODE, "3: expected each node's name once; \"a\" is in line 1 already\n"},
        {NODE "[producer a]\ncommand = x\nnice = 99\n",
         "3: expected each node's name once; \"a\" is in line 1 already\n"
         "5: nice: expected a whole number from -20 to 19, not \"99\"\n"},
        {NODE "[stream a]\n[stream a]\n", "4: expected [stream a] once; it is in line 3 already\n"},
    };
    check_mistakes(mistakes, SUITE_COUNT(mistakes));
}
END_TEST

START_TEST(values_that_make_no_sense_are_told) {
    static const struct mistake mistakes[] = {
        {"[consumer a]\n", "1: expected the key \"command\" in [consumer a]\n"},
        {"[consumer a]\ncommand =\n", "2: command: expected a command line, not \"\"\n"},
        {NODE "environment = 1A=x\n", "3: environment: expected NAME=VALUE, not \"1A=x\"\n"},
        {NODE "environment = A\n", "3: environment: expected NAME=VALUE, not \"A\"\n"},
        {NODE "environment =\n", "3: environment: expected NAME=VALUE, not \"\"\n"},
        {NODE "environment = A=1\n  B\n  A=2\n",
         "4: environment: expected NAME=VALUE, not \"B\"\n"
         "5: environment: expected each variable once, not \"A=2\"\n"},
        {NODE "environment = SHMFRAME_SOCKET=/x\n",
         "3: environment: expected a variable that is not the supervisor's own to set, not "
         "\"SHMFRAME_SOCKET=/x\"\n"},
        {NODE "environment = SHMFRAME_NODE=b\n",
         "3: environment: expected a variable that is not the supervisor's own to set, not "
         "\"SHMFRAME_NODE=b\"\n"},
        {NODE "user = no-such-user\n",
         "3: user: expected a user whom this machine knows, not \"no-such-user\"\n"},
        {NODE "group = no-such-group\n",
         "3: group: expected a group that this machine knows, not \"no-such-group\"\n"},
        {NODE "directory = /no/such/folder\n",
         "3: directory: expected a folder that exists, not \"/no/such/folder\"\n"},
        {NODE "directory = /etc/passwd\n",
         "3: directory: expected a folder that exists, not \"/etc/passwd\"\n"},
        {NODE "scheduling = fifo\n", "3: scheduling: expected other, batch, idle, or fifo:N or "
                                     "rr:N with a priority N from 1 to 99, not \"fifo\"\n"},
        {NODE "scheduling = normal\n", "3: scheduling: expected other, batch, idle, or fifo:N or "
                                       "rr:N with a priority N from 1 to 99, not \"normal\"\n"},
        {NODE "scheduling = rr:100\n", "3: scheduling: expected other, batch, idle, or fifo:N or "
                                       "rr:N with a priority N from 1 to 99, not \"rr:100\"\n"},
        {NODE "scheduling = fifo:x\n", "3: scheduling: expected other, batch, idle, or fifo:N or "
                                       "rr:N with a priority N from 1 to 99, not \"fifo:x\"\n"},
        {NODE "scheduling = fifo:0\n", "3: scheduling: expected other, batch, idle, or fifo:N or "
                                       "rr:N with a priority N from 1 to 99, not \"fifo:0\"\n"},
        {NODE "scheduling = idle:1\n", "3: scheduling: expected other, batch, idle, or fifo:N or "
                                       "rr:N with a priority N from 1 to 99, not \"idle:1\"\n"},
        {NODE "nice = 20\n", "3: nice: expected a whole number from -20 to 19, not \"20\"\n"},
        {NODE "nice = --5\n", "3: nice: expected a whole number from -20 to 19, not \"--5\"\n"},
        {NODE "nice = 5 # low\n", "3: nice: expected a whole number from -20 to 19, not "
                                  "\"5 # low\"; a comment is a line of its own\n"},
        {NODE "limit = files=1\n", "3: limit: expected " LIMITS ", not \"files=1\"\n"},
        {NODE "limit = nofile=1K\n", "3: limit: expected " LIMITS ", not \"nofile=1K\"\n"},
        {NODE "limit = memlock=1X\n", "3: limit: expected " LIMITS ", not \"memlock=1X\"\n"},
        {NODE "limit = memlock=99999999999T\n",
         "3: limit: expected " LIMITS ", not \"memlock=99999999999T\"\n"},
        {NODE "limit = memlock=-1\n", "3: limit: expected " LIMITS ", not \"memlock=-1\"\n"},
        {NODE "limit = memlock=\n", "3: limit: expected " LIMITS ", not \"memlock=\"\n"},
        {NODE "limit = memlock=99999999999999999999\n",
         "3: limit: expected " LIMITS ", not \"memlock=99999999999999999999\"\n"},
        {NODE "limit = cpu=x\n", "3: limit: expected " LIMITS ", not \"cpu=x\"\n"},
        {NODE "limit = core=1:x\n", "3: limit: expected " LIMITS ", not \"core=1:x\"\n"},
        {NODE "limit = nofile\n", "3: limit: expected " LIMITS ", not \"nofile\"\n"},
        {NODE "limit =\n", "3: limit: expected " LIMITS ", not \"\"\n"},
        {NODE "limit = nofile=2:1\n", "3: limit: expected limits whose second value, the hard one, "
                                      "is not below the first, not \"nofile=2:1\"\n"},
        {NODE "limit = core=1 core=2\n",
         "3: limit: expected each limit once, not \"core=1 core=2\"\n"},
        {NODE "start = true\n", "3: start: expected yes or no, not \"true\"\n"},
        {NODE "reads = A\n",
         "3: reads: expected names of streams such as cam or cam.sound: " NAME_RULE
         ", not \"A\"\n"},
        {NODE "reads = ,\n", "3: reads: expected names of streams, not \",\"\n"},
        {NODE "reads = s s\n[stream s]\n", "3: reads: expected each stream once, not \"s s\"\n"},
        {NODE "ready = fd:2\n",
         "3: ready: expected none, stream, or fd:N with N from 3 to 255, not \"fd:2\"\n"},
        {NODE "ready = fd:256\n",
         "3: ready: expected none, stream, or fd:N with N from 3 to 255, not \"fd:256\"\n"},
        {NODE "ready = stream\n",
         "3: ready: expected none or fd:N, since \"writes\" names no stream\n"},
        {NODE "ready-timeout = soon\n",
         "3: ready-timeout: expected none, or " TIME ", not \"soon\"\n"},
        {NODE "restart = yes\n", "3: restart: expected no, on-failure or always, not \"yes\"\n"},
        {NODE "restart-delay = -1\n", "3: restart-delay: expected " TIME ", not \"-1\"\n"},
        {NODE "restart-delay = 2s\nrestart-delay-max = 1s\n",
         "3: restart-delay: expected at most what restart-delay-max says\n"},
        {NODE "restart-limit = 5\n", "3: restart-limit: expected " BURST ", not \"5\"\n"},
        {NODE "restart-limit = 0/1s\n", "3: restart-limit: expected " BURST ", not \"0/1s\"\n"},
        {NODE "restart-limit = 101/1s\n", "3: restart-limit: expected " BURST ", not \"101/1s\"\n"},
        {NODE "restart-limit = 5/0\n", "3: restart-limit: expected " BURST ", not \"5/0\"\n"},
        {NODE "restart-limit = 55555555555555555555/1\n",
         "3: restart-limit: expected " BURST ", not \"55555555555555555555/1\"\n"},
        {NODE "stop-signal = SIGFOO\n",
         "3: stop-signal: expected a signal's name such as SIGTERM or SIGINT, not \"SIGFOO\"\n"},
        {NODE "stop-signal = SIGSTOP\n", "3: stop-signal: expected a signal that ends a process, "
                                         "such as SIGTERM or SIGINT, not \"SIGSTOP\"\n"},
        {NODE "stop-timeout = none\n", "3: stop-timeout: expected " TIME ", not \"none\"\n"},
        {NODE "log = jurnal\n", "3: log: expected inherit, none, journal, or a file's path with a "
                                "\"/\" such as ./cam.log, not \"jurnal\"\n"},
        {NODE "log = /usr/\n", "3: log: expected inherit, none, journal, or a file's path with a "
                               "\"/\" such as ./cam.log, not \"/usr/\"\n"},
        {NODE "log = /no/such/folder/log\n",
         "3: log: expected a file in a folder that exists, not \"/no/such/folder/log\"\n"},
        {NODE "log = /etc\n", "3: log: expected a file in a folder that exists, not \"/etc\"\n"},
        {NODE "hold-limit = 1d\n", "3: hold-limit: expected none, or " TIME ", not \"1d\"\n"},
        {NODE "on-hold = kill\n", "3: on-hold: expected report, evict or restart, not \"kill\"\n"},
        {NODE "restart = no\non-hold = restart\n",
         "4: on-hold: expected report, since restart = no\n"},
        {"[producer a]\ncommand = x\non-stall = evict\n",
         "3: on-stall: expected report or restart, not \"evict\"\n"},
        {NODE "on-hang = restart\n",
         "3: expected \"watchdog\" beside \"on-hang\": how long it may be silent\n"},
    };
    check_mistakes(mistakes, SUITE_COUNT(mistakes));
}
END_TEST

START_TEST(only_root_runs_nodes_as_others) {
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(setegid(65534), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    check_told(NODE "user = root\ngroup = root\n",
               "3: user: expected the user who runs the supervisor, since that is not root, not "
               "\"root\"\n"
               "4: group: expected the group that runs the supervisor, since that is not root, not "
               "\"root\"\n");
    struct config config = parse_key("user = 65534\ngroup = 65534");
    config_destroy(&config);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(0), 0);
}
END_TEST

START_TEST(cpus_that_the_machine_lacks_are_told) {
    const int cpus = get_nprocs_conf();
    static const char *const values[] = {"", "x", "0-", "1-0", "0,", "0 1", "99999999999999999999"};
    char text[128], told[256];
    for (size_t i = 0; i < SUITE_COUNT(values); i++) {
        snprintf(text, sizeof(text), NODE "cpus = %s\n", values[i]);
        snprintf(told, sizeof(told),
                 "3: cpus: expected CPUs such as 0-1,3; this machine has 0 to %d, not \"%s\"\n",
                 cpus - 1, values[i]);
        check_told(text, told);
    }
    snprintf(text, sizeof(text), NODE "cpus = 0-%d\n", cpus);
    snprintf(told, sizeof(told),
             "3: cpus: expected CPUs such as 0-1,3; this machine has 0 to %d, not \"0-%d\"\n",
             cpus - 1, cpus);
    check_told(text, told);
    snprintf(text, sizeof(text), "cpus = 0-%d,0", cpus - 1);
    struct config config = parse_key(text);
    ck_assert_int_eq(CPU_COUNT(&config.node[0].cpus), cpus);
    config_destroy(&config);
}
END_TEST

START_TEST(keys_in_the_wrong_section_are_told) {
    static const struct mistake mistakes[] = {
        {NODE "writes = s\n",
         "3: a consumer has no key \"writes\"; what writes streams is a producer or a filter\n"},
        {NODE "stall-limit = 1\n", "3: a consumer has no key \"stall-limit\"; what writes streams "
                                   "is a producer or a filter\n"},
        {"[producer a]\ncommand = x\nreads = s\n",
         "3: a producer has no key \"reads\"; what reads streams is a consumer or a filter\n"},
        {"[producer a]\ncommand = x\nhold-limit = 1\n",
         "3: a producer has no key \"hold-limit\"; what reads streams is a consumer or a filter\n"},
        {NODE "[stream s]\nnice = 1\n", "4: expected a key of a stream; \"nice\" is a node's\n"},
    };
    check_mistakes(mistakes, SUITE_COUNT(mistakes));
}
END_TEST

#define UNWRITTEN(node, stream)                                                                    \
    "\"" node "\" reads \"" stream "\", which no node writes: expected it in a node's "            \
    "\"writes\", or a section [stream " stream "] if another program writes it"
#define CIRCLE "expected no circle, in which nobody can start first: "

START_TEST(streams_that_do_not_fit_together_are_told) {
    static const struct mistake mistakes[] = {
        {NODE "reads = s\n", "3: " UNWRITTEN("a", "s") "\n"},
        {NODE "nice = 1\nreads = cam\n tape\n  film\nreads = voice\n[stream cam]\n[stream film]\n",
         "5: " UNWRITTEN("a", "tape") "\n7: " UNWRITTEN("a", "voice") "\n"},
        {NODE "reads = demoo\n[producer p]\ncommand = x\nwrites = demo\n[stream demos]\n",
         "3: " UNWRITTEN("a", "demoo") "; near it are demos, demo\n"},
        {"[producer p]\ncommand = x\nwrites = s\n[producer q]\ncommand = x\nwrites = s\n",
         "6: \"q\" writes \"s\": expected one writer; \"p\" in line 1 writes it already\n"},
        {"[filter f]\ncommand = x\nreads = s\nwrites = s\n",
         "1: " CIRCLE "\"f\" reads \"s\" of \"f\"\n"},
        {"[filter f]\ncommand = x\nreads = a\nwrites = b\n"
         "[filter g]\ncommand = x\nreads = b\nwrites = c\n"
         "[filter h]\ncommand = x\nreads = s c\nwrites = a\n[stream s]\n"
         "[filter i]\ncommand = x\nreads = i\nwrites = i\n",
         "1: " CIRCLE
         "\"f\" reads \"a\" of \"h\", which reads \"c\" of \"g\", which reads \"b\" of "
         "\"f\"\n"
         "14: " CIRCLE "\"i\" reads \"i\" of \"i\"\n"},
        /* The way into a circle is no part of it. */
        {"[consumer c]\ncommand = x\nreads = a\n"
         "[filter f]\ncommand = x\nreads = b\nwrites = a\n"
         "[filter g]\ncommand = x\nreads = a\nwrites = b\n",
         "4: " CIRCLE "\"f\" reads \"b\" of \"g\", which reads \"a\" of \"f\"\n"},
    };
    check_mistakes(mistakes, SUITE_COUNT(mistakes));
}
END_TEST

START_TEST(all_mistakes_are_told_at_once_in_their_order) {
    check_told("[producer cam]\n"
               "comand = x\n"
               "nice = 99\n"
               "word\n"
               "[consumer b\n"
               "[filter f]\n"
               "command = f\n"
               "reads = nothing\n"
               "log = nowhere\n"
               "[consumer c]\n"
               "reads = nothing\n",
               "1: expected the key \"command\" in [producer cam]\n"
               "2: expected a key of a producer, not \"comand\"; near it is command\n"
               "3: nice: expected a whole number from -20 to 19, not \"99\"\n"
               "4: " SYNTAX "5: expected a section such as [producer cam], not \"[consumer b\"\n"
               "8: " UNWRITTEN("f", "nothing") "\n"
                                               "9: log: expected inherit, none, journal, or a "
                                               "file's path with a \"/\" such as "
                                               "./cam.log, not \"nowhere\"\n"
                                               "10: expected the key \"command\" in [consumer c]\n"
                                               "11: " UNWRITTEN("c", "nothing") "\n");
}
END_TEST

START_TEST(a_line_that_is_too_long_is_no_line) {
    char text[8192], told[512], filling[5000];
    memset(filling, 'x', sizeof(filling));
    for (int length = 4096; length <= 4097; length++) {
        snprintf(text, sizeof(text), NODE "log = %.*s\nnice = x\n", length - 6, filling);
        snprintf(told, sizeof(told),
                 "3: expected a line of at most 4095 bytes, not of %d; a value goes on in the next "
                 "line, if that begins with a blank\n"
                 "4: nice: expected a whole number from -20 to 19, not \"x\"\n",
                 length);
        check_told(text, told);
    }
    /* Nor is a name cut to one that is known. */
    snprintf(text, sizeof(text), "[consumer %.64s]\ncommand = x\n" NODE, filling);
    snprintf(told, sizeof(told), "1: expected a name such as cam: " NAME_RULE "; not \"%.64s\"\n",
             filling);
    check_told(text, told);
    snprintf(text, sizeof(text), NODE "command%.60s = y\n", filling);
    snprintf(told, sizeof(told), "3: expected a key of a consumer, not \"command%.60s\"\n",
             filling);
    check_told(text, told);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_told) {
    static const char text[] = NODE "log\0= x\n";
    char *told = told_of(text, sizeof(text) - 1);
    ck_assert_str_eq(told, "0: expected a text in UTF-8: it has bytes that are 0\n");
    free(told);
}
END_TEST

/* COUNT sections or lines from a format with one %u. */
static char *repeat(const char *begin, const char *format, unsigned count) {
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    fputs(begin, file);
    for (unsigned i = 0; i < count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(file, format, i, i);
#pragma GCC diagnostic pop
    }
    fclose(file);
    return text;
}

static void check_count(const char *begin, const char *format, unsigned allowed, const char *told) {
    char *text = repeat(begin, format, allowed);
    check_told(text, "");
    free(text);
    text = repeat(begin, format, allowed + 1);
    char *got = told_of(text, strlen(text));
    ck_assert_msg(strstr(got, told), "%s", got);
    free(got);
    free(text);
}

START_TEST(there_may_be_so_many_and_no_more) {
    check_count("", "[consumer n%u]\ncommand=x\n", CONFIG_NODES_MAX, "expected at most 256 nodes");
    check_count("", "[stream s%u]\n", CONFIG_STREAMS_MAX, "1024 streams");
    check_count(NODE, "environment=V%u=\n", CONFIG_LIST_MAX, "expected a shorter list");
    check_count("[producer a]\ncommand=x\n", "writes=s%u\n", CONFIG_LIST_MAX,
                "expected a shorter list");
    check_count("[producer p]\ncommand=x\nwrites=t\n", "[stream s%u]\n", CONFIG_STREAMS_MAX - 1,
                "1: expected at most 1024 streams\n");
}
END_TEST

START_TEST(a_command_that_no_process_takes_is_told) {
    char *text =
        repeat("[producer a]\ncommand = x\n", "  --option=%06u --option=%06u\n", 65535 / 32);
    check_told(text, "");
    free(text);
    text = repeat("[producer a]\ncommand = x\n", "  --option=%06u --option=%06u\n", 65536 / 32);
    char *told = told_of(text, strlen(text));
    ck_assert_msg(
        strncmp(told, "2: command: expected at most 65536 bytes; a script may be longer", 64) == 0,
        "%s", told);
    free(told);
    free(text);
}
END_TEST

START_TEST(of_very_many_mistakes_the_first_are_told) {
    char *text = repeat("", "word %u\n", 100000);
    struct config config;
    struct config_problems problems;
    ck_assert_int_eq(config_parse(text, strlen(text), config_rig_path, &config, &problems),
                     -EINVAL);
    ck_assert_uint_eq(problems.count, 200);
    ck_assert(problems.is_cut);
    char *printed = NULL;
    size_t bytes;
    FILE *file = open_memstream(&printed, &bytes);
    config_problems_print(&problems, "x.ini", file);
    fclose(file);
    ck_assert(strstr(printed, "x.ini:200: " SYNTAX));
    ck_assert(strstr(printed, "x.ini: there are more mistakes than these 200\n"));
    free(printed);
    free(text);
    config_problems_destroy(&problems);
    config_destroy(&config);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {mistakes_of_form_are_told},
        {values_that_make_no_sense_are_told},
        {only_root_runs_nodes_as_others},
        {cpus_that_the_machine_lacks_are_told},
        {keys_in_the_wrong_section_are_told},
        {streams_that_do_not_fit_together_are_told},
        {all_mistakes_are_told_at_once_in_their_order},
        {a_line_that_is_too_long_is_no_line},
        {bytes_that_are_no_text_are_told},
        {there_may_be_so_many_and_no_more},
        {a_command_that_no_process_takes_is_told},
        {of_very_many_mistakes_the_first_are_told},
    };
    return suite_run("config_mistakes", tests, SUITE_COUNT(tests));
}
