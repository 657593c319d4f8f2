/* The streams that the names on a command line mean: pictures and sounds, found and waited for. */
#ifndef CONSUMERS_SELECTION_H
#define CONSUMERS_SELECTION_H

#include <shmframe/shmframe.h>

enum { SELECTION_MAX = 16 };

struct selected_stream {
    char name[SHMFRAME_NAME_BYTES];
    char group[SHMFRAME_NAME_BYTES];
    uint32_t kind; /* SHMFRAME_VIDEO or SHMFRAME_AUDIO; DATA of selection_find_any() only */
};

struct selection {
    struct selected_stream stream[SELECTION_MAX]; /* as named; a picture before its sounds */
    uint32_t count;
};

/* Finds what `names` mean. One name alone is a stream or a group: a picture brings all sounds of
 * its group along, a sound stays alone, a group is its first picture and all its sounds. Of several
 * names each means that stream, or all of that group. Nothing is selected twice.
 * Waits as long as --wait allows, and until a group has stopped growing for a moment; then one line
 * says what there is instead, and the program ends. Where no progress is shown, a line tells of a
 * wait of seconds. False: asked to stop. */
bool selection_find(struct shmframe_session *session, char *const *names, uint32_t count,
                    struct selection *out_selection);
/* Likewise; a stream of data that is named stands for itself. */
bool selection_find_any(struct shmframe_session *session, char *const *names, uint32_t count,
                        struct selection *out_selection);

#endif
