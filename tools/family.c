#include "family.h"

#include "census.h"

#include <sys/prctl.h>
#include <unistd.h>

void family_adopt_orphans(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

unsigned family_signal(int signal_number, pid_t spared) {
    struct census census;
    const pid_t self = getpid();
    census_take(&census);
    for (size_t i = 0; i < census.count; i++)
        census.process[i].is_ours =
            census.process[i].parent == self && census.process[i].pid != spared;
    census_mark_descendants(&census);
    const unsigned count = census_signal(&census, signal_number);
    census_destroy(&census);
    return count;
}
