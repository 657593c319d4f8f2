/* shmframe ask: one request to the writer of a stream, and its answer. */
#include "report.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int64_t timeout_ns = INT64_C(5000000000);

static const struct option_spec options[] = {
    {.name = "timeout",
     .kind = OPTION_DURATION,
     .out = &timeout_ns,
     .argument = "TIME",
     .help = "how long to wait for the answer (5s)"},
    {0},
};

static const struct program program = {
    .name = "shmframe ask",
    .purpose = "Asks the writer of STREAM to do VERB, and prints its answer.",
    .operands = "STREAM VERB [ARGUMENT...]",
    .has_options_first = true,
    .notes = "Which verbs there are is the writer's to say: \"shmframe ask STREAM help\".\n"
             "\n"
             "Examples: shmframe ask media seek 10\n"
             "          shmframe ask camera set brightness 50",
    .options = options,
};

/* Words of the command line are one argument to the writer, with a blank between them. */
static void join_words(char *const *words, char argument[SHMFRAME_ARGUMENT_BYTES]) {
    size_t used = 0;
    argument[0] = 0;
    for (; *words && used < SHMFRAME_ARGUMENT_BYTES; words++)
        used += (size_t)snprintf(argument + used, SHMFRAME_ARGUMENT_BYTES - used, "%s%s",
                                 used ? " " : "", *words);
    if (used >= SHMFRAME_ARGUMENT_BYTES)
        program_fail_usage("the argument should have %d bytes at most",
                           SHMFRAME_ARGUMENT_BYTES - 1);
}

int tool_ask(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    if (argc - operand < 2)
        program_fail_usage("a stream and a verb are to be named");
    const char *stream = argv[operand], *verb = argv[operand + 1];
    char argument[SHMFRAME_ARGUMENT_BYTES];
    join_words(argv + operand + 2, argument);

    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    struct shmframe_answer answer;
    const int result = shmframe_session_request(session, stream, verb, argument,
                                                shmframe_deadline_ns(timeout_ns), &answer);
    if (result == -ETIMEDOUT)
        program_fail("%s; --timeout waits longer", shmframe_last_error());
    if (result < 0)
        program_fail("%s could not be asked: %s", stream, shmframe_last_error());
    program_close_session(session);
    if (answer.status < 0)
        program_fail("the writer of %s refuses \"%s\": %s", stream, verb,
                     *answer.text ? answer.text : strerror(-answer.status));
    if (*answer.text)
        puts(answer.text);
    report_flush();
    return EXIT_DONE;
}
