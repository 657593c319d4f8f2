/* The control group of this process, and those above it: their limits add up. */
#ifndef TOOLS_CGROUP_H
#define TOOLS_CGROUP_H

#include <limits.h>
#include <stdbool.h>

struct cgroup {
    bool is_unified;     /* version 2: one tree for all controllers */
    char tree[64];       /* folder of the tree below the root folder: "sys/fs/cgroup/memory" */
    char path[PATH_MAX]; /* of the group in it: "/a/b"; "" is the top */
};

/* Finds the group that `controller` ("memory", "cpu") works on, as ROOT/proc/self/cgroup tells.
 * False: none. */
bool cgroup_find(struct cgroup *group, const char *root, const char *controller);
/* Goes on to the group above. False: this was the top. */
bool cgroup_go_up(struct cgroup *group);
/* Path of a file of the group, below the root folder. */
void cgroup_file(const struct cgroup *group, const char *name, char path[PATH_MAX]);

#endif
