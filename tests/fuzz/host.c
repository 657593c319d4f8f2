#include "host.h"

#include "input.h"
#include "limits.h"
#include "log.h"

#include <shmframe/error.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than some libc headers that this is built with. */
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

enum { TURNS_MAX = 4096, FDS_MAX = 320 };

static struct server server;
static char folder[256];

/* ---- nothing is started or ended from here ---- */

/* AFL++ forks for each of its runs, and lets the child go on by SIGCONT. */
#ifdef __AFL_COMPILER
enum { IS_AFL = true };
#else
enum { IS_AFL = false };

pid_t fork(void) {
    fuzz_must(false, "a process was to be started");
    return -1;
}
#endif

int kill(pid_t pid, int signal_number) {
    if (IS_AFL && signal_number == SIGCONT)
        return (int)syscall(SYS_kill, pid, signal_number);
    errno = ESRCH;
    return -1;
}

/* A made-up nodes' file names processes that there are: they are somebody else's. */
int pidfd_send_signal(int pidfd, int signal_number, siginfo_t *info, unsigned flags) {
    (void)pidfd, (void)signal_number, (void)info, (void)flags;
    errno = ESRCH;
    return -1;
}

/* ---- life ---- */

static void remove_folder(void) {
    static const char *const kinds[] = {"",       ".lock",      ".names",  ".names.new", ".journal",
                                        ".nodes", ".nodes.new", ".config", ".config.new"};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char path[sizeof(folder) + 32];
        snprintf(path, sizeof(path), "%s/socket%s", folder, kinds[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void open_server(void) {
    static char path[sizeof(folder) + 8];
    static struct server_params params = {.ready_fd = -1, .socket = path, .settings_path = ""};
    settings_init(&params.settings, UINT64_C(1) << 34);
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/shmframe-fuzz-XXXXXX", parent ? parent : "/tmp");
    fuzz_must(mkdtemp(folder) != NULL, "no folder");
    atexit(remove_folder);
    snprintf(path, sizeof(path), "%s/socket", folder);
    log_set_level(LOG_TROUBLE);
    fuzz_must(server_open(&server, &params) == 0, shmframe_last_error());
    /* The fuzzers have signals of their own. */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

struct server *host_server(void) {
    if (!server.event)
        open_server();
    return &server;
}

void host_turn(void) {
    unsigned turns = 0;
    while (sd_event_run(server.event, 0) > 0)
        fuzz_must(++turns < TURNS_MAX, "the loop does not come to rest");
}

void host_forget(void) {
    struct stream *stream;
    while ((stream = TAILQ_FIRST(&server.streams)))
        stream_destroy(stream);
    for (unsigned i = 0; i < server.former_readers; i++)
        process_release(server.former_reader[i].process);
    free(server.former_reader);
    server.former_reader = NULL;
    server.former_readers = 0;
    server.next_reader = server.next_request = 0;
    server.watches_former = server.links_lost = server.names_changed = server.has_news = false;
}

uint64_t host_start_time(void) {
    static uint64_t start_time;
    char text[1024] = "";
    FILE *file = start_time ? NULL : fopen("/proc/self/stat", "re");
    if (file && fgets(text, sizeof(text), file))
        sscanf(strrchr(text, ')'),
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lu",
               &start_time);
    if (file)
        fclose(file);
    return start_time;
}

unsigned host_count_fds(void) {
    unsigned count = 0;
    for (int fd = 0; fd < FDS_MAX; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* ---- what must hold ---- */

bool host_is_sealed(int fd, bool is_for_good, size_t bytes) {
    const int size = F_SEAL_SHRINK | F_SEAL_GROW, end = F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 &&
           (bytes == 0 || (size_t)info.st_size == bytes) &&
           (fcntl(fd, F_GET_SEALS) & ~F_SEAL_EXEC) == (is_for_good ? size | end : size);
}

static void check_link(const struct stream_link *link, const struct stream_ring *ring) {
    const struct client *client = ring->writer->client;
    fuzz_must(link->ring == ring, "a link is of another ring");
    fuzz_must(link->entry < NOTICE_ENTRIES && client->entry_is_used[link->entry],
              "a link's entry is not marked as used");
    const struct notice_entry *entry = &client->notice.page->entry[link->entry];
    switch (link->state) {
    case LINK_UNUSED:
        fuzz_must(!link->reader && host_is_sealed(link->fd[0], false, LINK_PAGE_BYTES) &&
                      host_is_sealed(link->fd[1], true, LINK_PAGE_BYTES) && link->fd[2] >= 0,
                  "an unused link has a reader, or is none");
        break;
    case LINK_GRANTED:
        fuzz_must(link->reader && link->reader->link == link, "a granted link has no reader");
        /* I5: the writer's page says so. */
        fuzz_must(grant_from_word(entry->word).serial == link->serial &&
                      grant_from_word(entry->word).state == ENTRY_GRANTED,
                  "a grant does not stand in the writer's page");
        break;
    case LINK_HELD:
        fuzz_must(link->holder_pid > 0 && !link->reader, "a held link has no holder");
        break;
    }
}

static void check_ring(const struct stream_ring *ring, const struct stream_writer *writer) {
    const struct stream_link *link;
    unsigned unused = 0;
    fuzz_must(ring->writer == writer, "a ring is of another writer");
    fuzz_must(ring->head.base && host_is_sealed(ring->fd, true, ring->geometry.ring_bytes),
              "a ring is none");
    fuzz_must(layout_check(&ring->geometry, ring->geometry.ring_bytes) == 0,
              "a ring was taken whose geometry does not hold together");
    TAILQ_FOREACH (link, &ring->links, of_ring) {
        check_link(link, ring);
        unused += link->state == LINK_UNUSED;
    }
    fuzz_must(unused <= LIMIT_LINKS_UNUSED, "a ring has too many unused links");
}

static void check_writer(const struct stream_writer *writer) {
    const struct stream_request *request;
    unsigned requests = 0;
    fuzz_must(writer->ring || writer->opening, "a writer has no ring");
    fuzz_must(!writer->ring || writer->stream->writer == writer, "a ring is not its stream's");
    fuzz_must(!writer->opening || writer->stream->opener == writer, "an opening is nobody's");
    if (writer->ring)
        check_ring(writer->ring, writer);
    if (writer->opening)
        check_ring(writer->opening, writer);
    TAILQ_FOREACH (request, &writer->requests, next)
        requests++;
    fuzz_must(requests == writer->request_count && requests <= LIMIT_REQUESTS,
              "requests are not counted");
}

static void check_reader(const struct stream_reader *reader) {
    fuzz_must(reader->client->entry_is_used[reader->entry], "a reader's entry is not used");
    fuzz_must(!reader->link ||
                  (reader->link->state == LINK_GRANTED && reader->link->reader == reader &&
                   reader->stream->writer && reader->link->ring == reader->stream->writer->ring),
              "a reader has a link that is not its own");
    fuzz_must(reader->leases >= 1 && reader->leases <= SHMFRAME_LEASES_MAX,
              "a reader has a number of leases that nobody may have");
    fuzz_must(host_is_sealed(reader->record_fd, true, RECORD_BYTES), "a record is none");
}

static bool within(enum quota_resource resource, unsigned count) {
    return count <= server.settings.limit[resource][QUOTA_SESSION];
}

static void check_client(const struct client *client) {
    unsigned writers = 0, readers = 0, queued = 0;
    const struct stream_writer *writer;
    const struct stream_reader *reader;
    const struct client_mail *mail;
    fuzz_must(client->process && client->process->references > 0, "a client has no process");
    TAILQ_FOREACH (writer, &client->writers, of_client) {
        check_writer(writer);
        writers++;
    }
    TAILQ_FOREACH (reader, &client->readers, of_client) {
        check_reader(reader);
        readers++;
    }
    STAILQ_FOREACH (mail, &client->queue, next)
        queued++;
    fuzz_must(writers == client->writer_count && within(QUOTA_STREAMS, writers),
              "writers are not counted");
    fuzz_must(readers == client->reader_count && within(QUOTA_READERS, readers),
              "readers are not counted");
    fuzz_must(queued == client->queued && queued <= LIMIT_MAIL_QUEUED, "mail is not counted");
    fuzz_must(client->socket >= 0 || queued == 0, "mail waits for one who is away");
    fuzz_must(client->is_welcome || (writers == 0 && readers == 0), "a stranger has something");
}

static void check_stream(const struct stream *stream) {
    const struct stream_reader *reader;
    unsigned readers = 0;
    fuzz_must(shmframe_name_is_valid(stream->name), "a stream has a name that is none");
    TAILQ_FOREACH (reader, &stream->readers, of_stream) {
        fuzz_must(reader->stream == stream, "a reader is of another stream");
        readers++;
    }
    fuzz_must(readers == stream->reader_count, "a stream's readers are not counted");
    fuzz_must(!stream->writer || (stream->writer->stream == stream && stream->writer->ring),
              "a stream's writer has no ring");
    fuzz_must(!stream->opener || (stream->opener->stream == stream && stream->opener->opening),
              "a stream's opener opens nothing");
    fuzz_must(stream->former_rings <= HELD_RINGS_MAX, "a stream has too many former rings");
    fuzz_must(stream->gone_generation <= stream->generation,
              "a ring is gone that there has not been");
    for (unsigned i = 0; i < stream->former_rings; i++)
        fuzz_must(stream->former_ring[i]->fd >= 0 && !stream->former_ring[i]->writer,
                  "a former ring has a writer");
}

void host_check(void) {
    unsigned clients = 0, streams = 0;
    const struct client *client;
    const struct stream *stream, *before = NULL;
    TAILQ_FOREACH (client, &server.clients, all) {
        check_client(client);
        clients++;
    }
    TAILQ_FOREACH (stream, &server.streams, all) {
        check_stream(stream);
        fuzz_must(!before || strcmp(before->name, stream->name) < 0, "streams are not sorted");
        before = stream;
        streams++;
    }
    fuzz_must(clients == server.client_count, "clients are not counted");
    fuzz_must(streams == server.stream_count && streams <= LIMIT_STREAMS_KNOWN,
              "streams are not counted");
}
