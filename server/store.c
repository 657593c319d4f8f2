#include "store.h"

#include "limits.h"
#include "notify.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static const char NODE[] = "node.", RING[] = "ring.";

struct kept {
    char *name; /* NULL: taken */
    int fd;
};
static struct kept *kept;
static unsigned kept_count;

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void have_dropped(const char *name) {
    char text[256];
    if (!getenv("NOTIFY_SOCKET"))
        return;
    snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    notify_forget(name);
    notify_send(text, -1, name);
}

/* Has a descriptor kept, instead of what was kept under this name before. */
static void have_kept(const char *name, int fd) {
    char text[256];
    if (!getenv("NOTIFY_SOCKET"))
        return;
    have_dropped(name);
    /* FDPOLL=0: a pidfd is readable once its process is dead, which is just what is to be known. */
    snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    notify_send(text, fd, name);
}

int store_receive(int *out_socket) {
    char **names = NULL;
    const int count = sd_listen_fds_with_names(1, &names);
    int others = 0;
    if (count > 0)
        kept = calloc((size_t)count, sizeof(*kept));
    for (int i = 0; i < count; i++) {
        const int fd = SD_LISTEN_FDS_START + i;
        if (kept && (has_prefix(names[i], NODE) || has_prefix(names[i], RING))) {
            kept[kept_count++] = (struct kept){.name = names[i], .fd = fd};
            continue;
        }
        if (others++ == 0)
            *out_socket = fd;
        free(names[i]);
    }
    free(names);
    return count < 0 ? count : others;
}

int store_take(const char *name) {
    for (unsigned i = 0; i < kept_count; i++) {
        if (!kept[i].name || strcmp(kept[i].name, name) != 0)
            continue;
        free(kept[i].name);
        kept[i].name = NULL;
        return kept[i].fd;
    }
    return -1;
}

void store_drop_rest(void) {
    for (unsigned i = 0; i < kept_count; i++) {
        if (!kept[i].name)
            continue;
        have_dropped(kept[i].name);
        free(kept[i].name);
        close(kept[i].fd);
    }
    free(kept);
    kept = NULL;
    kept_count = 0;
}

/* ---- by node, by ring ---- */

static void name_node(char out[128], const char *node) {
    snprintf(out, 128, "%s%s", NODE, node);
}

static void name_ring(char out[128], const char *stream, uint32_t generation) {
    snprintf(out, 128, "%s%" PRIu32 ".%s", RING, generation, stream);
}

void store_put_node(const char *node, int pidfd) {
    char name[128];
    name_node(name, node);
    have_kept(name, pidfd);
}

void store_remove_node(const char *node) {
    char name[128];
    name_node(name, node);
    have_dropped(name);
}

void store_put_ring(const char *stream, uint32_t generation, int fd) {
    char name[128];
    name_ring(name, stream, generation);
    have_kept(name, fd);
}

void store_remove_ring(const char *stream, uint32_t generation) {
    char name[128];
    name_ring(name, stream, generation);
    have_dropped(name);
}

/* ---- rings that come back ---- */

/* "ring.GENERATION.STREAM" */
static bool parse_ring(const char *name, uint32_t *out_generation, const char **out_stream) {
    char *end;
    errno = 0;
    const unsigned long generation = strtoul(name + strlen(RING), &end, 10);
    if (errno || *end != '.' || generation == 0 || generation > LIMIT_GENERATION_TOLD)
        return false;
    *out_generation = (uint32_t)generation;
    *out_stream = end + 1;
    return shmframe_name_is_valid(end + 1);
}

/* Nobody but us could put it there; still it is the writer's memory, and checked like a peer's. */
static int restore_ring(struct server *server, const char *name, int fd) {
    uint32_t generation;
    const char *stream_name;
    if (!parse_ring(name, &generation, &stream_name))
        return -EPROTO;
    struct stream_ring *ring;
    int code = stream_ring_create(fd, stream_name, &ring);
    if (code < 0)
        return code;
    ring->generation = generation;
    struct stream *stream;
    code = stream_get(server, stream_name, &stream);
    if (code == 0 && generation < stream->generation)
        code = -ESTALE; /* another one has followed */
    if (code < 0) {
        ring->fd = -1; /* the caller's */
        stream_ring_destroy(ring);
        return code;
    }
    if (generation > stream->generation) {
        stream->generation = generation;
        stream->gone_generation = generation - 1;
        stream->state = SHMFRAME_STREAM_LIVE;
    }
    stream->is_numbered = true;
    stream->former_followed = 0; /* its readers need not show how far it came */
    stream_take_former_ring(stream, ring);
    return 0;
}

void store_restore_streams(struct server *server) {
    for (unsigned i = 0; i < kept_count; i++) {
        char *name = kept[i].name;
        if (!name || !has_prefix(name, RING))
            continue;
        const int code = restore_ring(server, name, kept[i].fd);
        if (code < 0) {
            log_trouble("event=ring-not-restored name=%s reason=%s", log_quote(name).text,
                        log_quote(strerror(-code)).text);
            continue;
        }
        log_event("event=ring-restored name=%s", log_quote(name).text);
        free(name);
        kept[i].name = NULL;
        server->names_changed = true;
    }
}
