/* shmframe: the command line. `shmframe view demo` runs shmframe-view; a few commands are built in.
 */
#include "search.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *purpose;
    int (*main)(int argc, char **argv);
} built_ins[] = {
    {"ask", "ask the writer of a stream to do something, and print its answer", tool_ask},
    {"doctor", "look for what on this machine costs latency", tool_doctor},
    {"events", "tell what happened to streams, readers, writers and nodes", tool_events},
    {"info", "tell all of a stream", tool_info},
    {"ls", "list the streams, or the readers of one", tool_ls},
    {"reload", "read the pipeline file again", tool_reload},
    {"report", "compare reports of shmframe-latency: better, worse or no difference", tool_report},
    {"restart", "stop nodes and start them again", tool_restart},
    {"run", "run producers and consumers under a supervisor of their own", tool_run},
    {"size", "tell the slots, memory and depth that a stream needs", tool_size},
    {"start", "start nodes", tool_start},
    {"stats", "print what readers and writers count, once or again and again", tool_stats},
    {"status", "list the supervisor's nodes", tool_status},
    {"stop", "stop nodes", tool_stop},
    {"top", "show streams, readers and nodes, live", tool_top},
    {"trace", "write what became of each frame as a trace for Perfetto or Chrome", tool_trace},
    {"upgrade", "let the supervisor become the program that is installed now", tool_upgrade},
};
enum { BUILT_INS = sizeof(built_ins) / sizeof(built_ins[0]) };

static const struct program program = {
    .name = "shmframe",
    .purpose = "Streams of audio and video frames between programs: the command line.",
    .operands = "COMMAND [ARGUMENT]...",
    .notes = "\"shmframe commands\" lists the commands; each has a --help of its own.\n"
             "A COMMAND that is not built in is the program shmframe-COMMAND.",
};

static int print_commands(void) {
    puts("Built in:");
    for (int i = 0; i < BUILT_INS; i++)
        printf("  %-10s %s\n", built_ins[i].name, built_ins[i].purpose);
    puts("Programs (shmframe COMMAND --help tells what each does):");
    search_print_commands("  ");
    return EXIT_DONE;
}

static int run_program(char **argv) {
    char name[128];
    if (strchr(argv[0], '/') || snprintf(name, sizeof(name), "shmframe-%s", argv[0]) >= 128)
        program_fail_usage("\"%s\" is not a command", argv[0]);
    const char *command = argv[0];
    argv[0] = name;
    execvp(name, argv);
    if (errno == ENOENT)
        program_fail_usage("\"%s\" is not a command: neither built in, nor is there a program %s; "
                           "\"shmframe commands\" lists all",
                           command, name);
    program_fail("%s cannot be started: %m", name);
}

int main(int argc, char **argv) {
    search_extend_path();
    /* Options of its own only come before the command; what follows is the command's. */
    program_start(&program, argc < 2 || argv[1][0] != '-' ? 1 : 2, argv);
    if (argc < 2)
        program_fail_usage("a command is to be named; \"shmframe commands\" lists all");
    if (argv[1][0] == '-')
        program_fail_usage("a command is to come first");
    if (strcmp(argv[1], "commands") == 0)
        return print_commands();
    if (strcmp(argv[1], "complete") == 0)
        return tool_complete(argc - 1, argv + 1);
    for (int i = 0; i < BUILT_INS; i++)
        if (strcmp(argv[1], built_ins[i].name) == 0)
            return built_ins[i].main(argc - 1, argv + 1);
    return run_program(argv + 1);
}
