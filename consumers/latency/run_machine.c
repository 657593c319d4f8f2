#include "run_machine.h"

#include "run_json.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* The first line of a file; "" if there is none. */
static void read_line(const char *path, char *line, size_t bytes) {
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (!file)
        return;
    if (!fgets(line, (int)bytes, file))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    fclose(file);
}

/* What /proc/cpuinfo calls the first processor; not all architectures do. */
static void read_processor(char *name, size_t bytes) {
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];
    name[0] = '\0';
    while (file && !name[0] && fgets(line, sizeof(line), file)) {
        const char *colon = strchr(line, ':');
        if (colon && (strncmp(line, "model name", 10) == 0 || strncmp(line, "Model", 5) == 0))
            snprintf(name, bytes, "%.*s", (int)strcspn(colon + 1, "\n") - 1, colon + 2);
    }
    if (file)
        fclose(file);
}

static double read_load(void) {
    double load = 0;
    if (getloadavg(&load, 1) < 1)
        return 0;
    return load;
}

void run_machine_read(struct run_machine *machine) {
    struct utsname names;
    cpu_set_t allowed;
    *machine = (struct run_machine){0};
    if (uname(&names) == 0) {
        snprintf(machine->host, sizeof(machine->host), "%s", names.nodename);
        snprintf(machine->kernel, sizeof(machine->kernel), "%s %s", names.sysname, names.release);
        snprintf(machine->architecture, sizeof(machine->architecture), "%s", names.machine);
    }
    read_processor(machine->processor, sizeof(machine->processor));
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        machine->processors = CPU_COUNT(&allowed);
    read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", machine->governor,
              sizeof(machine->governor));
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource",
              machine->clock_source, sizeof(machine->clock_source));
    machine->load[0] = machine->load[1] = read_load();
}

void run_machine_end(struct run_machine *machine) {
    machine->load[1] = read_load();
}

json_t *run_machine_make_json(const struct run_machine *machine) {
    return json_pack("{s:o, s:s, s:s, s:o, s:i, s:s, s:s, s:f, s:f}", "host",
                     run_make_text(machine->host), "kernel", machine->kernel, "architecture",
                     machine->architecture, "processor", run_make_text(machine->processor),
                     "processors", machine->processors, "governor", machine->governor,
                     "clock_source", machine->clock_source, "load_at_start", machine->load[0],
                     "load_at_end", machine->load[1]);
}
