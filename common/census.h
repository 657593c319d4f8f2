/* Census: which processes there are, and whose children. */
#ifndef COMMON_CENSUS_H
#define COMMON_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct census_process {
    pid_t pid, parent, group, session;
    uint64_t start_time; /* field 22 of /proc/PID/stat: with the pid, unique since boot */
    bool is_ours;        /* for whoever takes the census to set */
};
struct census {
    struct census_process *process;
    size_t count, capacity;
};

/* Who reads /proc/PID/`name` for all that is below, other than by simply reading, which may have to
 * wait for the process. Returns bytes, or a negative errno; -EBUSY: it cannot be looked at. */
typedef ssize_t census_reader(pid_t pid, const char *name, char *out, size_t room);
void census_read_by(census_reader *reader);

/* One process. Errors: -ESRCH it has ended, also if nobody has reaped it yet; -EBUSY it cannot be
 * looked at, and has not ended. */
int census_find(pid_t pid, struct census_process *out_process);
/* Whether a younger or older process, which may have ended, has that number. False: nobody knows.
 */
bool census_is_other(pid_t pid, uint64_t start_time);

/* How a process ended that nobody has reaped yet, as wait(2) tells it. False: there is no such one,
 * or it is another user's and the kernel may keep it to itself. */
bool census_find_end(pid_t pid, uint64_t start_time, int *out_status);

/* All that have not ended. Who cannot be looked at, or there is no memory for, is left out. False:
 * /proc cannot be read. */
bool census_take(struct census *census);
void census_destroy(struct census *census);

/* Children of ours become ours, and theirs. */
void census_mark_descendants(struct census *census);

/* Signals those that are ours, each only if it is still the process that was counted; 0: none.
 * Returns how many are ours. */
unsigned census_signal(const struct census *census, int signal_number);

#endif
