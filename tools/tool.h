/* The commands that are built into the program `shmframe`. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include "program.h"

/* Each takes its command line as a program would, argv[0] being its name, and returns the exit
 * code. */
int tool_ask(int argc, char **argv);
/* Not a command for people: what shells ask, see completion/. */
int tool_complete(int argc, char **argv);
int tool_doctor(int argc, char **argv);
int tool_events(int argc, char **argv);
int tool_info(int argc, char **argv);
int tool_ls(int argc, char **argv);
int tool_reload(int argc, char **argv);
int tool_report(int argc, char **argv);
int tool_restart(int argc, char **argv);
int tool_run(int argc, char **argv);
int tool_top(int argc, char **argv);
int tool_size(int argc, char **argv);
int tool_start(int argc, char **argv);
int tool_stats(int argc, char **argv);
int tool_status(int argc, char **argv);
int tool_stop(int argc, char **argv);
int tool_trace(int argc, char **argv);
int tool_upgrade(int argc, char **argv);

#endif
