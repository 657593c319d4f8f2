#include "program.h"
#include "sandbox.h"

#include <errno.h>
#include <string.h>

void sandbox_enter_or_end(void) {
    const int result = sandbox_enter();
    if (result == -ENOSYS)
        program_fail("--sandbox: this program was built without libseccomp");
    if (result < 0)
        program_fail("--sandbox: the kernel takes no filter: %s", strerror(-result));
}
