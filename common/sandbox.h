/* Sandbox: a process gives up the system calls that it does not need from here on.
 *
 * For who only reads and writes streams, and prints what it finds. It cannot start programs,
 * speak to the network, look into processes, open files but for reading, make memory executable, or
 * move others' sleepers (a futex's requeue). Whatever is refused fails with EPERM: a program that
 * was taken over gets nowhere, and one that merely tries something new, as a library may, goes on.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

/* For all threads, and for good. Returns 0, or a negative errno: -ENOSYS it was built without; else
 * the kernel's. */
int sandbox_enter(void);

/* For --sandbox of a program: ends it with the reason if that cannot be. */
void sandbox_enter_or_end(void);

#endif
