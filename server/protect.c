#include "protect.h"

#include "call_filter.h"
#include "log.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What finds leaks at the end looks at its own process by ptrace. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

void protect_process(bool is_traceable) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!is_traceable && !IS_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        log_trouble("event=not-protected what=dumpable reason=\"%s\"", strerror(errno));
}

bool protect_can_change_user(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capget, &header, data) < 0 ||
           (data[CAP_TO_INDEX(CAP_SETUID)].effective & CAP_TO_MASK(CAP_SETUID));
}

/* By the kernel's own call: the bounding set first, which takes a capability to lower. */
void protect_drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (IS_SANITIZED)
        return;
    for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
        ;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) < 0)
        log_trouble("event=not-protected what=capabilities reason=\"%s\"", strerror(errno));
}

void protect_filter_calls(void) {
    const int code = IS_SANITIZED ? 0 : call_filter_enter();
    if (code < 0)
        log_trouble("event=not-protected what=calls reason=\"%s\"", strerror(-code));
}
