#!/usr/bin/env python3
"""The sweep knows every call of the library and the supervisor that can fail.

usage: symbols.py FAULT_H OBJECT...

What an OBJECT takes from others must be among the calls that fault.h lists, or here.
Exit: 0 all are known, 1 some are not, 2 usage.
"""
import re
import subprocess
import sys

# They do not fail, or only where their caller is wrong.
SURE = """
__assert_fail __ctype_b_loc __ctype_tolower_loc __cxa_finalize __errno_location __gmon_start__
__libc_current_sigrtmax __libc_current_sigrtmin __libc_start_main __progname __tls_get_addr
_ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __stack_chk_fail _exit exit abort environ stderr stdout
program_invocation_short_name program_invocation_name optarg optind opterr optopt
clock_gettime getpid gettid getppid geteuid getegid getuid getgid umask getrlimit setrlimit sysconf get_nprocs_conf
free close munmap closedir qsort bsearch lrint llround memchr memcmp memcpy memmove memset mempcpy memrchr
strcmp strcasecmp strncasecmp strncmp strcpy strncpy stpcpy strlen strnlen strspn strcspn strchr strrchr
strchrnul strstr strsep strtok_r strerror strerrorname_np strsignal sigabbrev_np atoi strtod strtol strtoll
strtoul strtoull sscanf __isoc99_sscanf __isoc23_sscanf __isoc23_strtol __isoc23_strtoul __isoc23_strtoll
__isoc23_strtoull snprintf vsnprintf sprintf strftime localtime_r dirname basename getopt_long getenv
secure_getenv unsetenv ferror feof
pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock
pthread_cond_signal pthread_cond_broadcast pthread_cond_wait pthread_cond_clockwait pthread_detach pthread_sigmask
pthread_self pthread_attr_init pthread_attr_destroy pthread_attr_setdetachstate pthread_attr_setstacksize
sigaddset sigdelset sigemptyset sigfillset sigprocmask sigaction signal
"""
# The kernel refuses these only for reasons that no shortage brings about: counters of an eventfd that are
# full, timers and descriptors that are none, options, names and signals of the caller's own.
ARGUMENTS = """
eventfd_read eventfd_write timerfd_settime timer_settime timer_delete getsockopt setsockopt getsockname shutdown fcntl syscall madvise
kill nanosleep pidfd_send_signal prctl setsid waitid capset capget dup2 close_range
"""
# Their failure is looked at as that of what they use, which the sweep has fail.
THROUGH = """
fgets fread fwrite fputs fputc putc puts printf fprintf dprintf fflush vfprintf
ini_parse_stream ini_max_line sd_listen_fds sd_listen_fds_with_names sd_is_socket sd_watchdog_enabled
sd_event_exit sd_event_get_iteration sd_event_loop sd_event_source_disable_unref sd_event_source_get_enabled
sd_event_source_get_io_fd sd_event_source_set_enabled sd_event_source_set_io_events sd_event_source_set_time
sd_event_source_set_floating sd_event_source_set_time_relative sd_event_source_unref
"""
# Of files and users as a pipeline, its node or an upgrade finds them: each has tests of its own.
ELSEWHERE = """
access chmod chown fchmodat fchownat chdir execv execve fstatat lstat stat statx mkdir unlink readlink realpath getcwd ioctl readdir
faccessat getgrgid getgrnam getgrouplist getgroups getpwnam getpwuid getpwuid_r getgrgid_r getpwnam_r getgrnam_r
sched_setaffinity sched_setscheduler setpriority sd_journal_stream_fd
"""
# What the supervisor gives up a right by, and goes on without: it says so in its log.
GIVEN_UP = """
seccomp_attr_set seccomp_init seccomp_load seccomp_release seccomp_rule_add_array
seccomp_syscall_resolve_name
"""
# libavutil and libavcodec: those that look something up or copy; those that take memory are in fault.h.
AV_LOOKUP = re.compile(
    r"av_(get|pix_fmt|sample_fmt|samples|image|color|chroma|channel_layout|rescale|display|free|frame_free"
    r"|frame_get|frame_apply|buffer_unref|buffer_get)|avcodec_(align|default_get_buffer2|descriptor)")


def undefined(path):
    """Without version, and without the 64 of file offsets."""
    text = subprocess.run(["nm", "-D", "-u", path], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1].split("@")[0] for line in text.splitlines() if line.strip()}
    return {re.sub("64$", "", name) for name in names}


def main(arguments):
    if len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(arguments[1], encoding="utf-8") as file:
        swept = set(re.findall(r"CALL\((\w+),", file.read()))
    known = swept | set((SURE + ARGUMENTS + THROUGH + ELSEWHERE + GIVEN_UP).split())
    status = 0
    for path in arguments[2:]:
        found = undefined(path)
        if len(found) < 20:
            print(f"{path} takes next to nothing from others: is it the right one?")
            status = 1
        for name in sorted(found - known):
            if not AV_LOOKUP.match(name):
                print(f"{path} calls {name}: tests/faults/fault.h is to have it fail, or symbols.py to say why not")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv))
