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

static int64_t add(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (a < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static int64_t subtract(int64_t a, int64_t b) {
    int64_t difference;
    return __builtin_sub_overflow(a, b, &difference) ? (a < b ? INT64_MIN : INT64_MAX) : difference;
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
        shutter->next_ns = add(capture_ns, shutter->every_ns);
        shutter->is_open = true;
        return true;
    }
    if (!shutter->every_ns)
        return false;
    /* A stamp is another program's, and the next picture never further away than the interval:
     * where the stamps jump back, or one was far ahead, the grid begins anew. */
    const int64_t early_ns = subtract(shutter->next_ns, capture_ns);
    if (early_ns > 0 && early_ns <= shutter->every_ns)
        return false;
    const bool is_jump = early_ns > 0;
    const int64_t rest_ns = is_jump ? 0 : subtract(0, early_ns) % shutter->every_ns;
    shutter->next_ns = add(subtract(capture_ns, rest_ns), shutter->every_ns);
    return true;
}
