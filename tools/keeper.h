/* Keeper: `shmframe run FILE`. A private supervisor runs the pipeline; this starts it, starts it
 * again when it dies, shows what goes on, and ends everything when it ends itself. */
#ifndef TOOLS_KEEPER_H
#define TOOLS_KEEPER_H

#include "report.h"

#include <stdbool.h>

/* Whether an operand is a pipeline file rather than a command line: a file that is there and is called
 * so or not executable, or a single word that is called so. */
bool keeper_is_file(const char *operand);

/* Returns the exit code. */
int keeper_run(const char *file, enum report_format format);

#endif
