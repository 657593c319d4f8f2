/* Impostor: a supervisor that a session in this process takes for one. Whatever the session
 * connects to is the impostor; what it answers has been said beforehand, so that nobody waits. */
#ifndef TESTS_FUZZ_IMPOSTOR_H
#define TESTS_FUZZ_IMPOSTOR_H

#include "channel.h"
#include "session.h"

/* A session that was greeted. Nothing that it does sleeps: it is interrupted, until the harness
 * says otherwise. */
struct shmframe_session *impostor_open(void);
/* And forgets all that was said. */
void impostor_close(struct shmframe_session *session);

/* Lost if the session has hung up. Descriptors stay the caller's. */
void impostor_say(const union message *message, const int *fds);
/* What the session has said; its descriptors are the caller's. False: nothing. */
bool impostor_hear(struct channel_mail *out_mail);
/* Whether a session is connected to it. */
bool impostor_is_there(void);
/* The session connects again when that is due, to one that may refuse it. */
void impostor_hang_up(bool refuses_others);

/* Of all sessions; zeros after impostor_open(). */
struct notice_page *impostor_notice(void);

#endif
