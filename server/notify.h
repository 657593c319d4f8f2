/* Notify: what a service manager is told of, by sd_notify(3). Without one, nothing is. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <systemd/sd-event.h>

struct server;

/* Tells `text` to the service manager, with a descriptor (-1: none) that stays the caller's. Never
 * waits: what there is no room for is told later, by notify_flush(). `name` (NULL: none) is what it
 * is about. */
void notify_send(const char *text, int fd, const char *name);
/* What was not told yet about `name` is not told any more. */
void notify_forget(const char *name);
/* Tells what is left, as far as there is room. Returns whether there is more. */
bool notify_flush(void);
/* Tells, as often as the manager wants to hear it, that the loop is alive. Errors: of sd-event(3). */
int notify_start_watchdog(sd_event *event);

/* It listens, and has taken its pipeline file; again after each reload. */
void notify_ready(void);
/* It ends. */
void notify_stopping(void);
/* Tells how many streams and readers there are, if that has changed, at most once a second. Returns
 * whether there is something left to tell. */
bool notify_status(const struct server *server);

#endif
