/* Upgrade: this process runs the program anew, from its file as it is now.
 *
 * The listening socket, its lock and folder stay open, so nobody is refused meanwhile, and what
 * tells of the parent's end; nodes stay children of this process. All else is as after a restart:
 * sessions come back with what they have.
 */
#ifndef SERVER_UPGRADE_H
#define SERVER_UPGRADE_H

#include <stdbool.h>

/* Remembers how the program was called, and where it lies: before anything is parsed. */
void upgrade_remember(int argc, char **argv);

/* What the program before this one, in this process, left open. */
struct upgrade_kept {
    int socket;
    int lock;      /* -1: none */
    bool is_bound; /* the socket was made by it, not by a service manager */
    int folder;    /* -1: none, or it was a version that did not tell */
    int parent;    /* a pidfd of who started us, where we end with him; likewise */
};
/* Whether there was one. Asking again gives the same answer. */
bool upgrade_take(struct upgrade_kept *out_kept);

/* Whether the file can be run, takes the same options and pipeline file, and speaks with the
 * sessions that there are. Errors: any, with its sentence, and whatever the program printed passed
 * on by `on_line`. */
int upgrade_check(void (*on_line)(void *user, const char *text), void *user);

/* Whether the file is still there and may be run. Errors: any, with its sentence. */
int upgrade_check_file(void);

/* Does not return, unless it fails; then it has changed nothing. */
int upgrade_run(const struct upgrade_kept *kept);

/* What `--check` prints first, for upgrade_check(). */
void upgrade_print_version(void);

#endif
