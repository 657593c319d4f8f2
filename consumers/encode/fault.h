/* What went wrong last, in words, beside the negative errno that is returned. One a thread. */
#ifndef CONSUMERS_FAULT_H
#define CONSUMERS_FAULT_H

enum { FAULT_BYTES = 1024 };

/* Keeps the line and returns `error`. */
int fault_set(int error, const char *text, ...) __attribute__((format(printf, 2, 3)));
const char *fault_text(void);

/* Between the two, what libav* complains of in this thread is kept instead of printed: its errnos
 * seldom say which of many things was wrong. fault_heard() gives the last line, or "". */
void fault_listen(void);
const char *fault_heard(void);

/* What libav*'s `error` means, in the words of the system where it is one of its. */
const char *fault_describe(int error);

#endif
