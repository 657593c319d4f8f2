/* Budgets: how many lines of the journal somebody may cause.
 *
 * A reader or writer pays, its process pays, and its user pays: who opens anew is charged all the
 * same. A budget is full in the beginning, and refills slowly.
 */
#ifndef SERVER_JOURNAL_BUDGET_H
#define SERVER_JOURNAL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process;

/* Neither uses up what is for the other. */
enum journal_matter { JOURNAL_LOSSES, JOURNAL_HOLDS, JOURNAL_JOINS, JOURNAL_MATTERS };

struct journal_purse {
    int64_t last_ns; /* 0: it is full */
    double lines[JOURNAL_MATTERS];
};

struct journal_payer {
    struct journal_purse *own; /* NULL: what it has left does not count */
    struct process *process;
    uid_t uid;
};

/* Takes so many lines, if all three have one at least. */
bool journal_pay(const struct journal_payer *payer, enum journal_matter matter, unsigned lines,
                 int64_t now_ns);
/* Lines that all three have. */
unsigned journal_can_pay(const struct journal_payer *payer, enum journal_matter matter,
                         int64_t now_ns);

#endif
