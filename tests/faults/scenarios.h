/* All scenarios; each list ends with one without a name. */
#ifndef TESTS_FAULTS_SCENARIOS_H
#define TESTS_FAULTS_SCENARIOS_H

#include "sweep.h"

extern const struct scenario stream_scenarios[], asking_scenarios[], picture_scenarios[],
    restart_scenarios[];

#endif
