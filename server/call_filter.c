#include "call_filter.h"

#include <errno.h>

#ifndef HAS_SECCOMP

int call_filter_enter(void) {
    return 0;
}

#else

#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whatever their arguments are. By name: a libseccomp or a machine may not know all of them. */
static const char *const refused[] = {
    /* to look into processes, and take what is theirs */
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    /* to become somebody else, or be somewhere else */
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
    "setgroups", "setns", "unshare", "chroot", "pivot_root", "personality",
    /* file systems and devices */
    "mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount",
    "fspick", "swapon", "swapoff", "quotactl", "quotactl_fd", "open_by_handle_at", "mknod",
    "mknodat", "fanotify_init",
    /* the kernel: what was behind most of its holes, and what changes it */
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "keyctl", "add_key", "request_key", "kexec_load", "kexec_file_load",
    "init_module", "finit_module", "delete_module", "reboot", "acct", "syslog", "iopl", "ioperm",
    "modify_ldt", "move_pages", "migrate_pages",
    /* what the machine is for all */
    "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname",
    "vhangup"};

/* An operation of seccomp() that no kernel has: only this filter answers it so. */
enum { IS_THERE = 0x73686d66 };

static int refuse(scmp_filter_ctx filter, const char *name) {
    const int call = seccomp_syscall_resolve_name(name);
    return call == __NR_SCMP_ERROR
               ? 0
               : seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), call, 0, NULL);
}

static int refuse_if(scmp_filter_ctx filter, int error, int call, struct scmp_arg_cmp argument) {
    return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((unsigned)error), call, 1, &argument);
}

static int refuse_by_arguments(scmp_filter_ctx filter) {
    static const scmp_datum_t spaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                          CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};
    int code = refuse_if(filter, EPERM, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]) && code == 0; i++)
        code = refuse_if(filter, EPERM, SCMP_SYS(clone),
                         SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
    /* Its flags are in memory, where a filter does not see them; who hears that, takes clone(). */
    if (code == 0)
        code = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
    if (code == 0)
        code = refuse_if(filter, EALREADY, SCMP_SYS(seccomp), SCMP_A0(SCMP_CMP_EQ, IS_THERE, 0));
    return code;
}

int call_filter_enter(void) {
    if (syscall(SYS_seccomp, IS_THERE, 0, NULL) < 0 && errno == EALREADY)
        return 0; /* the former version's: each one more would cost, and there is no end of them */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return -ENOMEM;
    int code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (code == 0)
        code = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]) && code == 0; i++)
        code = refuse(filter, refused[i]);
    if (code == 0)
        code = refuse_by_arguments(filter);
    if (code == 0)
        code = seccomp_load(filter); /* sets PR_SET_NO_NEW_PRIVS as well */
    seccomp_release(filter);
    return code;
}

#endif
