#include "spell.h"

#include "stretch.h"

/* Time that goes back is no time. */
static unsigned extend(struct spell *spell, int64_t now_ns) {
    if (now_ns > spell->end_ns)
        spell->end_ns = now_ns;
    if (spell->is_long || spell->end_ns - spell->begin_ns < spell->minimum_ns)
        return 0;
    spell->is_long = true;
    spell->spells++;
    return SPELL_BEGAN;
}

unsigned spell_end(struct spell *spell, int64_t now_ns) {
    if (!spell->is_on)
        return 0;
    unsigned changes = extend(spell, now_ns);
    if (spell->is_long) {
        spell->total_ns = stretch_add_ns(spell->total_ns, spell->end_ns - spell->begin_ns);
        changes |= SPELL_ENDED;
    }
    spell->is_on = spell->is_long = false;
    return changes;
}

unsigned spell_step(struct spell *spell, bool is_so, int64_t now_ns, uint64_t sequence) {
    if (!is_so)
        return spell_end(spell, now_ns);
    if (!spell->is_on) {
        spell->is_on = true;
        spell->begin_ns = spell->end_ns = now_ns;
        spell->sequence = sequence;
    }
    return extend(spell, now_ns);
}

int64_t spell_total_ns(const struct spell *spell) {
    return stretch_add_ns(spell->total_ns, spell->is_long ? spell->end_ns - spell->begin_ns : 0);
}
