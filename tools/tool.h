/* The commands that are built into the program `shmframe`. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include "program.h"

/* Each takes its command line as a program would, argv[0] being its name, and returns the exit
 * code. */
int tool_ask(int argc, char **argv);
int tool_ls(int argc, char **argv);
int tool_run(int argc, char **argv);

#endif
