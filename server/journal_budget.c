#include "journal_budget.h"

#include "limits.h"
#include "server.h"

enum level { OF_ONE, OF_PROCESS, OF_USER, LEVELS };

static const double full[LEVELS][JOURNAL_MATTERS] = {
    [OF_ONE] = {[JOURNAL_LOSSES] = LIMIT_LOSSES, [JOURNAL_HOLDS] = LIMIT_HOLDS},
    [OF_PROCESS] = {[JOURNAL_LOSSES] = LIMIT_LOSSES_OF_PROCESS,
                    [JOURNAL_HOLDS] = LIMIT_HOLDS_OF_PROCESS,
                    [JOURNAL_JOINS] = LIMIT_JOINS_OF_PROCESS},
    [OF_USER] = {[JOURNAL_LOSSES] = LIMIT_LOSSES_OF_USER,
                 [JOURNAL_HOLDS] = LIMIT_HOLDS_OF_USER,
                 [JOURNAL_JOINS] = LIMIT_JOINS_OF_USER},
};

static double *look_in(struct journal_purse *purse, enum level level, enum journal_matter matter,
                       int64_t now_ns) {
    const double part = (double)(now_ns - purse->last_ns) * 1e-9 / EVENTS_REFILL_S;
    for (unsigned i = 0; i < JOURNAL_MATTERS; i++) {
        purse->lines[i] += purse->last_ns ? part * full[level][i] : full[level][i];
        if (purse->lines[i] > full[level][i])
            purse->lines[i] = full[level][i];
    }
    purse->last_ns = now_ns;
    return &purse->lines[matter];
}

static void look_in_all(const struct journal_payer *payer, enum journal_matter matter,
                        int64_t now_ns, double *out_lines[LEVELS]) {
    struct process *process = payer->process;

    out_lines[OF_ONE] = payer->own ? look_in(payer->own, OF_ONE, matter, now_ns) : NULL;
    out_lines[OF_PROCESS] = look_in(&process->purse, OF_PROCESS, matter, now_ns);
    out_lines[OF_USER] =
        look_in(journal_purse_of_user(process->server, payer->uid), OF_USER, matter, now_ns);
}

static unsigned least(double *const lines[LEVELS]) {
    double found = UINT16_MAX;
    for (unsigned i = 0; i < LEVELS; i++)
        if (lines[i] && *lines[i] < found)
            found = *lines[i];
    return found < 1 ? 0 : (unsigned)found;
}

unsigned journal_can_pay(const struct journal_payer *payer, enum journal_matter matter,
                         int64_t now_ns) {
    double *lines[LEVELS];
    look_in_all(payer, matter, now_ns, lines);
    return least(lines);
}

bool journal_pay(const struct journal_payer *payer, enum journal_matter matter, unsigned count,
                 int64_t now_ns) {
    double *lines[LEVELS];
    look_in_all(payer, matter, now_ns, lines);
    if (least(lines) == 0)
        return false;
    for (unsigned i = 0; i < LEVELS; i++)
        if (lines[i])
            *lines[i] -= count;
    return true;
}
