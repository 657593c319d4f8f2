#include "place.h"

#include "program.h"

#include <sched.h>

static cpu_set_t allowed;

unsigned place_count(void) {
    if (CPU_COUNT(&allowed) == 0 && sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        program_fail("which processors there are is not known: %m");
    return (unsigned)CPU_COUNT(&allowed);
}

int place_cpu(unsigned index) {
    index %= place_count();
    for (int cpu = 0;; cpu++)
        if (CPU_ISSET(cpu, &allowed) && index-- == 0)
            return cpu;
}

bool place_has(int cpu) {
    return place_count() > 0 && CPU_ISSET(cpu, &allowed);
}

void place_pin(unsigned index) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(place_cpu(index), &one);
    if (sched_setaffinity(0, sizeof(one), &one) < 0)
        program_fail("processor %d is refused: %m", place_cpu(index));
}

void place_unpin(void) {
    if (place_count() > 0 && sched_setaffinity(0, sizeof(allowed), &allowed) < 0)
        program_fail("the processors that there are are refused: %m");
}

unsigned place_of_reader(unsigned reader) {
    return place_count() == 1 ? 0 : 1 + reader % (place_count() - 1);
}
