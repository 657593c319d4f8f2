/* Where shmframe's programs are: beside this one, or in the sibling folders of a build, or in PATH.
 */
#ifndef TOOLS_SEARCH_H
#define TOOLS_SEARCH_H

/* Puts the folders of this program and its siblings in front of PATH, for this process and all that
 * it starts. To be called once, first. */
void search_extend_path(void);

/* Prints the commands that PATH offers as shmframe-COMMAND, sorted, each once, a line each. */
void search_print_commands(const char *indent);

#endif
