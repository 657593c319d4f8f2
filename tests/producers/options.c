/* Options: what --help, values and mistakes on the command line do. */
#include "option.h"
#include "producer.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    bool flag;
    const char *text;
    uint32_t count, size[2];
    double number;
    int64_t duration_ns;
    struct shmframe_rational rational;
} values;

static const struct option_spec specs[] = {
    {"flag", 'f', OPTION_FLAG, &values.flag, NULL, "a flag"},
    {"text", 't', OPTION_TEXT, &values.text, "TEXT", "a text"},
    {"count", 'c', OPTION_COUNT, &values.count, "COUNT",
     "a count whose description is so long that it has to be broken into several lines, each of "
     "which begins below the first"},
    {"number", 0, OPTION_NUMBER, &values.number, "NUMBER", "a number"},
    {"pause", 0, OPTION_DURATION, &values.duration_ns, "TIME", "a time"},
    {"size", 0, OPTION_SIZE, values.size, "WxH", "a size"},
    {"times", 0, OPTION_POSITIVE_COUNT, &values.count, "COUNT", "one or more"},
    {"length", 0, OPTION_POSITIVE_DURATION, &values.duration_ns, "TIME", "some time"},
    {"rate", 0, OPTION_RATIONAL, &values.rational, "RATE", "a rate"},
    {0},
};

static const struct program program = {
    .name = "shmframe-test",
    .purpose = "Takes options.",
    .notes = "Notes stand at the end.",
    .options = specs,
    .options2 = producer_option_specs,
};

static const struct program program_with_operands = {
    .name = "shmframe-test",
    .purpose = "Takes files.",
    .operands = "[FILE]...",
    .options = specs,
};

static const struct option_spec *find_option(const char *name) {
    const struct option_spec *spec = specs;
    while (strcmp(spec->name, name) != 0)
        spec++;
    return spec;
}

static void expect_bad(const char *name, const char *const *texts) {
    for (; *texts; texts++)
        ck_assert_msg(option_store(find_option(name), *texts), "--%s took \"%s\"", name, *texts);
}

/* What a program started with some arguments said, and how it ended. */
struct outcome {
    int exit_code;
    char out[8192], err[2048];
};

static void read_all(int fd, char *text, size_t bytes) {
    size_t used = 0;
    ssize_t got;
    while (used + 1 < bytes && (got = read(fd, text + used, bytes - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = 0;
    close(fd);
}

/* Runs program_start() in a child; 77 says that it returned. */
static struct outcome start_with(const struct program *started, const char *const *arguments) {
    char *argv[16] = {strdup("shmframe-test")};
    int argc = 1;
    for (; arguments[argc - 1]; argc++)
        argv[argc] = strdup(arguments[argc - 1]);
    int out[2], err[2];
    ck_assert_int_eq(pipe(out), 0);
    ck_assert_int_eq(pipe(err), 0);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        program_start(started, argc, argv);
        _exit(77);
    }
    close(out[1]);
    close(err[1]);
    struct outcome outcome;
    read_all(out[0], outcome.out, sizeof(outcome.out));
    read_all(err[0], outcome.err, sizeof(outcome.err));
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    outcome.exit_code = WEXITSTATUS(status);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return outcome;
}

#define START(...) start_with(&program, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(values_of_every_kind_are_stored) {
    char *argv[] = {"x",          "-f",       "--text=a b", "-c",     "4294967295", "--number",
                    "-0.5",       "--pause",  "1.5s",       "--size", "1920x1080",  "--rate",
                    "30000/1001", "--stream", "camera",     NULL};
    memset(&values, 0, sizeof(values));
    const int argc = (int)(sizeof(argv) / sizeof(argv[0])) - 1;
    ck_assert_int_eq(program_start(&program, argc, argv), argc);
    ck_assert(values.flag);
    ck_assert_str_eq(values.text, "a b");
    ck_assert_uint_eq(values.count, UINT32_MAX);
    ck_assert_double_eq(values.number, -0.5);
    ck_assert_int_eq(values.duration_ns, 1500000000);
    ck_assert_uint_eq(values.size[0], 1920);
    ck_assert_uint_eq(values.size[1], 1080);
    ck_assert_int_eq(values.rational.num, 30000);
    ck_assert_int_eq(values.rational.den, 1001);
    ck_assert_str_eq(producer_options.stream, "camera");
}
END_TEST

START_TEST(options_not_given_keep_their_defaults) {
    values.count = 7;
    values.text = "default";
    char *argv[] = {"x", "--flag", NULL};
    program_start(&program, 2, argv);
    ck_assert_uint_eq(values.count, 7);
    ck_assert_str_eq(values.text, "default");
}
END_TEST

START_TEST(durations_have_units) {
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"10", 10000000000}, {"200ms", 200000000}, {"50us", 50000},
                {"7ns", 7},          {"3m", 180000000000}, {"0", 0},
                {".5", 500000000},   {"1h", 3600000000000}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_ptr_null(option_store(find_option("pause"), good[i].text));
        ck_assert_int_eq(values.duration_ns, good[i].ns);
    }
    expect_bad("pause", (const char *const[]){"", "s", "-1", "1 s", "10x", "1e99", "nan", "inf",
                                              " 1", "1ss", NULL});
}
END_TEST

START_TEST(rationals_are_exact_and_reduced) {
    static const struct {
        const char *text;
        int32_t num, den;
    } good[] = {
        {"60", 60, 1}, {"29.97", 2997, 100}, {"120/2", 60, 1}, {"0.5", 1, 2}, {"12.500", 25, 2}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_ptr_null(option_store(find_option("rate"), good[i].text));
        ck_assert_int_eq(values.rational.num, good[i].num);
        ck_assert_int_eq(values.rational.den, good[i].den);
    }
    expect_bad("rate", (const char *const[]){"", "1/0", "-1", "1/", "/2", "1.", "x", "1/2/3",
                                             "60fps", "99999999999", "2147483647.999999999", NULL});
}
END_TEST

START_TEST(counts_sizes_and_numbers_refuse_what_they_are_not) {
    expect_bad("count",
               (const char *const[]){"", "-1", "4294967296", "1.5", "0x10", " 1", "1 ", NULL});
    expect_bad("times", (const char *const[]){"0", "00", "-1", "1.5", "", NULL});
    expect_bad("length", (const char *const[]){"0", "0ms", "0.0000000001", "-1", "", NULL});
    ck_assert_ptr_null(option_store(find_option("times"), "1"));
    ck_assert_ptr_null(option_store(find_option("length"), "1ns"));
    expect_bad("size", (const char *const[]){"", "640", "640x", "x480", "640*480", "640x480x",
                                             "-1x2", "4294967296x1", NULL});
    expect_bad("number", (const char *const[]){"", "x", "1x", "inf", "nan", "1e999", " 1", NULL});
}
END_TEST

START_TEST(a_bad_value_is_a_usage_error_that_names_option_value_and_remedy) {
    const struct outcome outcome = START("--size", "640");
    ck_assert_int_eq(outcome.exit_code, EXIT_USAGE);
    ck_assert_str_eq(outcome.err, "shmframe-test: --size: \"640\" should be a size such as "
                                  "1920x1080; see shmframe-test --help\n");
}
END_TEST

START_TEST(mistakes_are_told_apart) {
    static const struct {
        const char *argument, *told;
    } mistakes[] = {
        {"-x", "-x is not an option"},
        {"--count", "--count needs a value (COUNT)"},
        {"-c", "--count needs a value (COUNT)"},
        {"--flag=1", "takes no value"},
        {"--help=1", "takes no value"},
        {"file", "\"file\" is too much"},
        {"--nonsense", "--nonsense is not an option; see"},
        {"--conut=3", "--conut is not an option; near it is --count; see"},
        {"--versoin", "--versoin is not an option; near it is --version; see"},
        {"--s", "--s is short for several: --s"},
    };
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        const struct outcome outcome = START(mistakes[i].argument);
        ck_assert_int_eq(outcome.exit_code, EXIT_USAGE);
        ck_assert_msg(strstr(outcome.err, mistakes[i].told), "%s: %s", mistakes[i].argument,
                      outcome.err);
        ck_assert_str_eq(outcome.out, "");
    }
}
END_TEST

START_TEST(help_names_every_option_and_stays_within_80_columns) {
    struct outcome outcome = START("--help");
    ck_assert_int_eq(outcome.exit_code, EXIT_DONE);
    ck_assert_str_eq(outcome.err, "");
    for (const struct option_spec *spec = specs; spec->name; spec++)
        ck_assert_ptr_nonnull(strstr(outcome.out, spec->name));
    for (const struct option_spec *spec = producer_option_specs; spec->name; spec++)
        ck_assert_ptr_nonnull(strstr(outcome.out, spec->name));
    ck_assert_ptr_nonnull(strstr(outcome.out, "--version"));
    ck_assert_ptr_nonnull(strstr(outcome.out, "Notes stand at the end."));
    for (char *line = strtok(outcome.out, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_msg(strlen(line) <= 80, "%s", line);
}
END_TEST

START_TEST(version_is_printed) {
    const struct outcome outcome = START("-V");
    ck_assert_int_eq(outcome.exit_code, EXIT_DONE);
    ck_assert_str_eq(outcome.out, "shmframe-test " SHMFRAME_VERSION "\n");
}
END_TEST

START_TEST(operands_are_found_behind_the_options) {
    char *argv[] = {"x", "one", "--flag", "two", NULL};
    const int first = program_start(&program_with_operands, 4, argv);
    ck_assert_int_eq(first, 2);
    ck_assert_str_eq(argv[first], "one");
    ck_assert_str_eq(argv[first + 1], "two");
}
END_TEST

START_TEST(the_limit_of_descriptors_is_raised) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    char *argv[] = {"x", NULL};
    program_start(&program, 1, argv);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
}
END_TEST

START_TEST(stopping_makes_the_stop_descriptor_readable) {
    program_stop_on_signals(NULL);
    ck_assert(!program_is_stopping());
    uint64_t count;
    ck_assert_int_lt(read(program_stop_fd(), &count, sizeof(count)), 0);
    raise(SIGTERM);
    ck_assert(program_is_stopping());
    ck_assert_int_eq(read(program_stop_fd(), &count, sizeof(count)), sizeof(count));
}
END_TEST

START_TEST(two_signals_at_once_are_one) {
    program_stop_on_signals(NULL);
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    raise(SIGTERM);
    sigprocmask(SIG_BLOCK, &both, NULL);
    raise(SIGTERM);
    raise(SIGINT); /* and another kind of it is not the same */
    sigprocmask(SIG_UNBLOCK, &both, NULL);
    ck_assert(program_is_stopping());
}
END_TEST

/* Ends by the signal. */
START_TEST(a_signal_that_comes_again_ends_a_program_that_hangs) {
    program_stop_on_signals(NULL);
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(30000000000));
    while (shmframe_now_ns() < deadline_ns) {
        raise(SIGINT);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}
END_TEST

/* Ends by itself, with EXIT_USAGE. */
START_TEST(before_anything_has_begun_a_signal_ends_the_program) {
    if (_i == 0)
        program_end_on_signals(EXIT_USAGE);
    else
        program_stop_on_signals(NULL); /* which then has come already */
    raise(SIGTERM);
    program_end_on_signals(EXIT_USAGE);
}
END_TEST

static void check_shared(const char *stream, const char *group, const char *format) {
    producer_options =
        (struct producer_options){.stream = stream, .group = group, .format = format};
    producer_check_options();
    ck_assert_str_eq(producer_options.group, group ? group : stream);
    exit(EXIT_DONE);
}

START_TEST(the_group_is_the_stream_unless_it_is_given) {
    check_shared("demo", NULL, "text");
}
END_TEST

START_TEST(a_bad_stream_name_is_a_usage_error) {
    check_shared("Not A Name", NULL, "text");
}
END_TEST

START_TEST(a_bad_group_name_is_a_usage_error) {
    check_shared("demo", "scheme:name", "text");
}
END_TEST

START_TEST(an_unknown_report_format_is_a_usage_error) {
    check_shared("demo", NULL, "xml");
}
END_TEST

/* No limit is told by leaving the option out. */
START_TEST(a_limit_of_nothing_is_refused) {
    static const struct program producer = {.name = "shmframe-test",
                                            .options = producer_option_specs};
    static const char *const limits[] = {"--frames=0", "--duration=0"};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct outcome outcome =
            start_with(&producer, (const char *const[]){limits[i], NULL});
        ck_assert_msg(outcome.exit_code == EXIT_USAGE, "%s was taken", limits[i]);
        ck_assert_ptr_nonnull(strstr(outcome.err, "\"0\" should be"));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("options");
    TCase *parse = tcase_create("parse");
    tcase_add_test(parse, values_of_every_kind_are_stored);
    tcase_add_test(parse, options_not_given_keep_their_defaults);
    tcase_add_test(parse, durations_have_units);
    tcase_add_test(parse, rationals_are_exact_and_reduced);
    tcase_add_test(parse, counts_sizes_and_numbers_refuse_what_they_are_not);
    tcase_add_test(parse, a_bad_value_is_a_usage_error_that_names_option_value_and_remedy);
    tcase_add_test(parse, mistakes_are_told_apart);
    tcase_add_test(parse, help_names_every_option_and_stays_within_80_columns);
    tcase_add_test(parse, version_is_printed);
    tcase_add_test(parse, operands_are_found_behind_the_options);
    tcase_add_test(parse, the_limit_of_descriptors_is_raised);
    tcase_add_test(parse, stopping_makes_the_stop_descriptor_readable);
    tcase_add_test(parse, two_signals_at_once_are_one);
    tcase_add_test_raise_signal(parse, a_signal_that_comes_again_ends_a_program_that_hangs, SIGINT);
    tcase_add_loop_exit_test(parse, before_anything_has_begun_a_signal_ends_the_program, EXIT_USAGE,
                             0, 2);
    suite_add_tcase(suite, parse);
    TCase *shared = tcase_create("shared");
    tcase_add_exit_test(shared, the_group_is_the_stream_unless_it_is_given, EXIT_DONE);
    tcase_add_exit_test(shared, a_bad_stream_name_is_a_usage_error, EXIT_USAGE);
    tcase_add_exit_test(shared, a_bad_group_name_is_a_usage_error, EXIT_USAGE);
    tcase_add_exit_test(shared, an_unknown_report_format_is_a_usage_error, EXIT_USAGE);
    tcase_add_test(shared, a_limit_of_nothing_is_refused);
    suite_add_tcase(suite, shared);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
