/* Memory: whether there is enough, and whether it stays where it is. */
#include "doctor.h"

#include "machine.h"

#include <inttypes.h>
#include <string.h>

static const char topic[] = "memory";

void doctor_look_at_memory(struct findings *findings, const char *root) {
    char text[MACHINE_TEXT_BYTES];
    double available_kib, all_kib;
    if (!machine_read(root, "proc/meminfo", text) ||
        !machine_find_number(text, "MemAvailable:", &available_kib) ||
        !machine_find_number(text, "MemTotal:", &all_kib)) {
        findings_add(findings, topic, "available", "not told here");
        return;
    }
    struct finding *finding = findings_add(findings, topic, "available", "%.0f MiB of %.0f MiB",
                                           available_kib / 1024, all_kib / 1024);
    finding_set_figure(finding, "available_bytes", (json_int_t)(available_kib * 1024));
    if (available_kib < 512 * 1024)
        finding_set_trouble(finding, available_kib < 128 * 1024 ? FINDING_WARNING : FINDING_NOTE,
                            "a slot that is used for the first time may wait until the kernel has "
                            "freed memory, or fail",
                            "smaller formats, fewer slots (\"shmframe size\"), more memory");
}

void doctor_look_at_swap(struct findings *findings, const char *root) {
    char text[MACHINE_TEXT_BYTES];
    int64_t swappiness = -1;
    if (!machine_read(root, "proc/swaps", text)) {
        findings_add(findings, topic, "swap", "not told here");
        return;
    }
    machine_read_number(root, "proc/sys/vm/swappiness", &swappiness);
    const char *line = strchr(text, '\n'); /* the first has titles */
    if (!line) {
        findings_add(findings, topic, "swap", "none");
        return;
    }
    char device[64];
    if (sscanf(line, " %63s", device) != 1)
        device[0] = '\0';
    struct finding *finding =
        findings_add(findings, topic, "swap", "on %s, swappiness %" PRId64, device, swappiness);
    finding_set_figure(finding, "swappiness", swappiness);
    finding_set_trouble(
        finding, FINDING_NOTE,
        "slots and programs that were not touched for a while may be on it: the "
        "next look at them takes milliseconds",
        "swapoff --all, or sysctl vm.swappiness=1; MemorySwapMax=0 for the service");
}

void doctor_look_at_huge_pages(struct findings *findings, const char *root) {
    char text[MACHINE_TEXT_BYTES], shared[32] = "", anonymous[32] = "";
    static const char folder[] = "sys/kernel/mm/transparent_hugepage";
    char path[96];
    snprintf(path, sizeof(path), "%s/shmem_enabled", folder);
    if (machine_read(root, path, text))
        machine_find_choice(text, shared, sizeof(shared));
    snprintf(path, sizeof(path), "%s/enabled", folder);
    if (machine_read(root, path, text))
        machine_find_choice(text, anonymous, sizeof(anonymous));
    if (!shared[0]) {
        findings_add(findings, topic, "huge-pages", "none for shared memory, as far as told here");
        return;
    }
    struct finding *finding =
        findings_add(findings, topic, "huge-pages", "%s for shared memory, %s for the rest", shared,
                     anonymous[0] ? anonymous : "unknown");
    if (strcmp(shared, "always") == 0 || strcmp(shared, "force") == 0 ||
        strcmp(shared, "within_size") == 0)
        finding_set_trouble(finding, FINDING_NOTE,
                            "a slot's first use clears 2 MiB at a time, and rings of small frames "
                            "take more memory than \"shmframe size\" foretells",
                            "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled");
}
