#include "marked.h"

const char *marked_hop_name(unsigned hop) {
    static const char *const names[MARKED_END] = {
        [MARKED_AGE] = "mark_age", [MARKED_SEEN] = "seen", [MARKED_SHOWN_FOR] = "shown_for",
        [MARKED_HEARD] = "heard",  [MARKED_SKEW] = "skew",
    };
    if (hop < SHMFRAME_HOPS)
        return shmframe_hop_name(hop);
    return hop < MARKED_END ? names[hop] : NULL;
}

void marked_picture_take_interval(struct marked_picture *picture) {
    picture->shown = picture->tally.figures;
    mark_figures_subtract(&picture->shown, &picture->previous);
    picture->previous = picture->tally.figures;
}

void marked_picture_take_total(struct marked_picture *picture) {
    picture->shown = picture->tally.figures;
}

void marked_sound_take_interval(struct marked_sound *sound) {
    sound->shown = sound->tally.figures;
    skew_figures_subtract(&sound->shown, &sound->previous);
    sound->previous = sound->tally.figures;
}

void marked_sound_take_total(struct marked_sound *sound) {
    sound->shown = sound->tally.figures;
}
