#include "choice.h"

#include <string.h>

static bool can_be_opened(const struct shmframe_stream_info *stream) {
    return stream->state == SHMFRAME_STREAM_LIVE || stream->state == SHMFRAME_STREAM_WRITER_GONE;
}

/* The best stream of `kind` in `group`: a running one first, then by position in the list. */
static int find_in_group(const struct shmframe_stream_info *streams, int count, const char *group,
                         uint32_t kind) {
    int found = -1;
    for (int i = 0; i < count; i++) {
        const bool fits = group[0] != '\0' && streams[i].kind == kind &&
                          strcmp(streams[i].group, group) == 0 && can_be_opened(&streams[i]);
        if (fits && streams[i].state == SHMFRAME_STREAM_LIVE) {
            return i;
        }
        if (fits && found < 0) {
            found = i;
        }
    }
    return found;
}

static bool is_live(const struct shmframe_stream_info *streams, int index) {
    return index >= 0 && streams[index].state == SHMFRAME_STREAM_LIVE;
}

/* If one of the pair runs, the other counts only if it runs too. */
static struct stream_choice pair(const struct shmframe_stream_info *streams, int video, int audio) {
    const bool is_one_live = is_live(streams, video) || is_live(streams, audio);
    return (struct stream_choice){
        .video = is_one_live && !is_live(streams, video) ? -1 : video,
        .audio = is_one_live && !is_live(streams, audio) ? -1 : audio,
    };
}

struct stream_choice choose_streams(const struct shmframe_stream_info *streams, int count,
                                    const char *name) {
    for (int i = 0; i < count; i++) {
        if (strcmp(streams[i].name, name) != 0 || !can_be_opened(&streams[i])) {
            continue;
        }
        if (streams[i].kind == SHMFRAME_VIDEO) {
            const int audio = find_in_group(streams, count, streams[i].group, SHMFRAME_AUDIO);
            /* The picture was named: it is waited for. */
            return (struct stream_choice){.video = i, .audio = pair(streams, i, audio).audio};
        }
        if (streams[i].kind == SHMFRAME_AUDIO) {
            return (struct stream_choice){.video = -1, .audio = i};
        }
    }
    return pair(streams, find_in_group(streams, count, name, SHMFRAME_VIDEO),
                find_in_group(streams, count, name, SHMFRAME_AUDIO));
}

struct stream_choices choose_all_streams(const struct shmframe_stream_info *streams, int count,
                                         const char *name) {
    const struct stream_choice first = choose_streams(streams, count, name);
    struct stream_choices all = {.video = first.video};
    if (first.audio < 0)
        return all;
    const struct shmframe_stream_info *sound = &streams[first.audio];
    const bool is_alone = first.video < 0 && strcmp(sound->name, name) == 0;
    for (int i = 0; i < count && all.audios < CHOICE_SOUNDS_MAX; i++) {
        const bool is_of_group =
            !is_alone && sound->group[0] != '\0' && streams[i].kind == SHMFRAME_AUDIO &&
            strcmp(streams[i].group, sound->group) == 0 && streams[i].state == sound->state;
        if (i == first.audio || is_of_group)
            all.audio[all.audios++] = i;
    }
    return all;
}
