#include "messages.h"

#include <shmframe/shmframe.h>
#include <string.h>

static struct {
    FILE *file;
    char text[MESSAGES_BYTES];
    size_t bytes;
    int64_t time_ns; /* of the newest */
    uint64_t dropped;
} messages;

/* Drops whole lines, the oldest first, until there are `bytes` at most. */
static void drop_to(size_t bytes) {
    size_t from = 0;
    while (messages.bytes - from > bytes) {
        const char *end = memchr(messages.text + from, '\n', messages.bytes - from);
        from = end ? (size_t)(end - messages.text) + 1 : messages.bytes;
        messages.dropped++;
    }
    memmove(messages.text, messages.text + from, messages.bytes - from);
    messages.bytes -= from;
}

static ssize_t keep(void *cookie, const char *text, size_t bytes) {
    (void)cookie;
    const size_t kept = bytes < sizeof(messages.text) ? bytes : sizeof(messages.text);
    drop_to(sizeof(messages.text) - kept);
    memcpy(messages.text + messages.bytes, text + (bytes - kept), kept);
    messages.bytes += kept;
    messages.time_ns = shmframe_now_ns();
    return (ssize_t)bytes;
}

FILE *messages_open(void) {
    messages.bytes = 0;
    messages.dropped = 0;
    messages.file = fopencookie(NULL, "w", (cookie_io_functions_t){.write = keep});
    if (messages.file)
        setvbuf(messages.file, NULL, _IOLBF, 0);
    return messages.file;
}

int messages_newest(int64_t now_ns, const char **out_line) {
    fflush(messages.file);
    const char *text = messages.text;
    size_t end = messages.bytes;
    while (end && text[end - 1] == '\n')
        end--;
    size_t begin = end;
    while (begin && text[begin - 1] != '\n')
        begin--;
    *out_line = text + begin;
    return now_ns - messages.time_ns < MESSAGES_SHOWN_NS ? (int)(end - begin) : 0;
}

void messages_close(FILE *to) {
    fclose(messages.file);
    if (messages.dropped)
        fprintf(to, "(%llu earlier lines are not kept)\n", (unsigned long long)messages.dropped);
    fwrite(messages.text, 1, messages.bytes, to);
}
