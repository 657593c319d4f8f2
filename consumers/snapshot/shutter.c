#include "shutter.h"

#include "option.h"

#include <string.h>

const char *shutter_parse(struct shutter *shutter, const char *text) {
    static const char wanted[] = "a number of frames such as 5, or a time with its unit such as 2s";
    const bool is_count = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
    uint32_t count = 0;
    const struct option_spec spec = {
        .kind = is_count ? OPTION_COUNT : OPTION_DURATION,
        .out = is_count ? (void *)&count : (void *)&shutter->every_ns,
    };
    if (option_store(&spec, text))
        return wanted;
    shutter->every = count;
    return count || shutter->every_ns > 0 ? NULL : wanted;
}

bool shutter_is_due(struct shutter *shutter, uint64_t sequence, int64_t capture_ns) {
    if (shutter->next == 0)
        shutter->next = sequence + (shutter->nth ? shutter->nth - 1 : 0);
    if (!shutter->is_open || shutter->every) {
        if (sequence < shutter->next)
            return false;
        shutter->late += sequence > shutter->next;
        const uint64_t passed = shutter->every ? (sequence - shutter->next) / shutter->every : 0;
        shutter->next += (passed + 1) * shutter->every;
        shutter->next_ns = capture_ns + shutter->every_ns;
        shutter->is_open = true;
        return true;
    }
    if (!shutter->every_ns || capture_ns < shutter->next_ns)
        return false;
    const int64_t passed = (capture_ns - shutter->next_ns) / shutter->every_ns;
    shutter->next_ns += (passed + 1) * shutter->every_ns;
    return true;
}
