/* Call filter: a supervisor without nodes gives up the system calls that none ever needs.
 *
 * A list of what is refused, with EPERM, and not of what is allowed: the version that an upgrade
 * puts in its place inherits it, and may well need other calls than this one. Nodes would inherit
 * it too.
 */
#ifndef SERVER_CALL_FILTER_H
#define SERVER_CALL_FILTER_H

/* For all threads, and for good; once is enough, also over upgrades. Returns 0, also built without
 * libseccomp, or the kernel's negative errno. */
int call_filter_enter(void);

#endif
