#include <shmframe/shmframe.h>

const char *shmframe_version(void) {
    return SHMFRAME_VERSION;
}
