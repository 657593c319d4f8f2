/* shmframe-metrics: what runs, as metrics over HTTP, for Prometheus and its kin.
 *
 * One thread: the HTTP library is run when its descriptor is readable. A scrape looks at the
 * supervisor's lists and the readers' records, at most ten times a second however many ask.
 */
#include "exposition.h"
#include "listen.h"
#include "program.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

/* A page is as fresh as this. */
#define FRESH_NS INT64_C(100000000)
/* How long a scrape may wait for the supervisor: one that is there, one that has gone. */
#define ANSWER_NS INT64_C(1000000000)
#define ABSENT_NS INT64_C(50000000)
/* A connection that has neither asked nor taken its answer by then is ended. */
#define REQUEST_NS INT64_C(15000000000)

enum {
    CONNECTIONS_MAX = 32,
    IDLE_S = 10,
    CONNECTION_BYTES = 16384, /* for a request's header: a larger one is refused */
    LOOK_MS = 1000,
};

static const char *listen_text = "127.0.0.1:9464";

static const struct option_spec options[] = {
    {.name = "listen",
     .kind = OPTION_TEXT,
     .out = &listen_text,
     .argument = "PLACE",
     .help =
         "where to listen (127.0.0.1:9464): ADDRESS:PORT, [ADDRESS]:PORT, or unix:PATH; port 0: "
         "a free one"},
    {0},
};

static const struct program program = {
    .name = "shmframe-metrics",
    .purpose = "Serves what streams, readers, writers and nodes count as metrics over HTTP.",
    .notes = "GET /metrics: OpenMetrics, or the Prometheus text format, as the client accepts.\n"
             "GET /healthz: 200 if a supervisor answers, 503 otherwise.",
    .options = options,
};

struct connection {
    LIST_ENTRY(connection) next;
    int fd;
    int64_t since_ns; /* it was opened, or had its last answer */
};

struct page {
    struct MHD_Response *response; /* NULL: none yet */
    int64_t time_ns;
};

static struct server {
    struct shmframe_session *session; /* NULL: no supervisor was there yet */
    struct gather *gather;
    bool is_up;
    int64_t gathered_ns;
    struct page page[OPENMETRICS_DIALECTS];
    struct event_tally tally;
    LIST_HEAD(, connection) connections;
} server;

/* ---- pages ---- */

static void connect_now(void) {
    if (!server.session && shmframe_session_open(NULL, &server.session) == 0)
        server.gather = gather_open(server.session);
}

/* Also while nobody asks: the journal keeps the newest lines only. */
static void follow_journal(void) {
    if (server.session && shmframe_session_is_connected(server.session))
        event_tally_update(&server.tally, server.session);
}

static void gather_now(void) {
    connect_now();
    follow_journal();
    server.is_up = false;
    if (server.session) {
        shmframe_session_dispatch(server.session);
        const bool is_there = shmframe_session_is_connected(server.session);
        const int64_t deadline_ns = shmframe_deadline_ns(is_there ? ANSWER_NS : ABSENT_NS);
        server.is_up = gather_update(server.gather, NULL, deadline_ns) == 0;
    }
    server.gathered_ns = shmframe_now_ns();
}

static struct MHD_Response *make_page(enum openmetrics_dialect dialect) {
    char *text;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        program_fail("no memory for a page of metrics");
    exposition_write(file, dialect, server.is_up ? server.gather : NULL, &server.tally);
    if (fclose(file) != 0)
        program_fail("no memory for a page of metrics");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                openmetrics_media_type(dialect));
    return response;
}

/* The same one for all who ask within a moment. */
static struct MHD_Response *get_page(enum openmetrics_dialect dialect) {
    struct page *page = &server.page[dialect];
    if (server.gathered_ns == 0 || shmframe_now_ns() - server.gathered_ns >= FRESH_NS)
        gather_now();
    if (page->response && page->time_ns == server.gathered_ns)
        return page->response;
    if (page->response)
        MHD_destroy_response(page->response);
    *page = (struct page){make_page(dialect), server.gathered_ns};
    return page->response;
}

/* Whether a client takes OpenMetrics: it is named in Accept, and not with a weight of 0. */
static bool accepts_openmetrics(const char *accept) {
    static const char wanted[] = "application/openmetrics-text";
    for (const char *range = accept; range && *range;) {
        range += strspn(range, " \t,");
        const size_t length = strcspn(range, ",");
        if (strncasecmp(range, wanted, sizeof(wanted) - 1) == 0) {
            const char *rest = range + sizeof(wanted) - 1;
            const char *weight = strstr(rest, "q=");
            return !weight || weight >= range + length || strtod(weight + 2, NULL) > 0;
        }
        range += length;
    }
    return false;
}

/* ---- answers ---- */

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection) {
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    const enum openmetrics_dialect dialect =
        accepts_openmetrics(accept) ? OPENMETRICS_1_0 : OPENMETRICS_PROMETHEUS;
    struct MHD_Response *page = get_page(dialect);
    return page ? MHD_queue_response(connection, MHD_HTTP_OK, page) : MHD_NO;
}

static enum MHD_Result answer_health(struct MHD_Connection *connection) {
    if (server.gathered_ns == 0 || shmframe_now_ns() - server.gathered_ns >= FRESH_NS)
        gather_now();
    return server.is_up
               ? answer_text(connection, MHD_HTTP_OK, "ok\n")
               : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no supervisor answers\n");
}

static enum MHD_Result answer(void *user, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request) {
    static int seen;
    (void)user, (void)version, (void)upload;
    const bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (is_read && !*request) { /* its header: answered in the next call, or the connection ends */
        *request = &seen;
        return MHD_YES;
    }
    if (is_read && *upload_bytes) { /* a body that nobody asked for */
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (!is_read)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(connection);
    if (strcmp(url, "/healthz") == 0)
        return answer_health(connection);
    if (strcmp(url, "/") == 0)
        return answer_text(connection, MHD_HTTP_OK, "shmframe: /metrics, /healthz\n");
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
}

/* ---- connections ---- */

static void note_connection(void *user, struct MHD_Connection *http, void **place,
                            enum MHD_ConnectionNotificationCode code) {
    (void)user;
    struct connection *connection = *place;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (connection)
            LIST_REMOVE(connection, next);
        free(connection);
        *place = NULL;
        return;
    }
    connection = calloc(1, sizeof(*connection));
    if (!connection)
        program_fail("no memory for a connection");
    connection->fd = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->since_ns = shmframe_now_ns();
    LIST_INSERT_HEAD(&server.connections, connection, next);
    *place = connection;
}

static void note_answered(void *user, struct MHD_Connection *http, void **request,
                          enum MHD_RequestTerminationCode code) {
    (void)user, (void)request, (void)code;
    struct connection *connection =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (connection)
        connection->since_ns = shmframe_now_ns();
}

/* The library's own time-out starts anew with each byte: whoever sends, or takes, one now and then
 * would keep its place for ever. */
static void end_slow_connections(void) {
    const int64_t now_ns = shmframe_now_ns();
    struct connection *connection;
    LIST_FOREACH (connection, &server.connections, next)
        if (now_ns - connection->since_ns > REQUEST_NS)
            shutdown(connection->fd, SHUT_RDWR);
}

/* ---- life ---- */

static struct MHD_Daemon *start_http(int fd) {
    struct MHD_Daemon *http = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, answer, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, note_connection, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        note_answered, NULL, MHD_OPTION_END);
    if (!http)
        program_fail("the HTTP server cannot be started");
    return http;
}

static int wait_ms(struct MHD_Daemon *http) {
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (MHD_get_timeout(http, &timeout_ms) != MHD_YES || timeout_ms > LOOK_MS)
        return LOOK_MS;
    return (int)timeout_ms;
}

static void follow_journal_now_and_then(void) {
    static int64_t next_ns;
    const int64_t now_ns = shmframe_now_ns();
    if (now_ns < next_ns)
        return;
    next_ns = now_ns + LOOK_MS * INT64_C(1000000);
    connect_now();
    follow_journal();
}

static void serve(struct MHD_Daemon *http) {
    const int epoll = MHD_get_daemon_info(http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    while (!program_is_stopping()) {
        struct pollfd waits[] = {
            {.fd = epoll, .events = POLLIN},
            {.fd = program_stop_fd(), .events = POLLIN},
            {.fd = server.session ? shmframe_session_fd(server.session) : -1, .events = POLLIN},
        };
        if (poll(waits, 3, wait_ms(http)) < 0 && errno != EINTR)
            program_fail("waiting failed: %m");
        if (waits[2].revents)
            shmframe_session_dispatch(server.session);
        follow_journal_now_and_then();
        end_slow_connections();
        MHD_run(http);
    }
}

int main(int argc, char **argv) {
    if (program_start(&program, argc, argv) < argc)
        program_fail_usage("no operand is taken");
    struct listen_place place;
    listen_open(&place, listen_text);
    program_stop_on_signals(NULL);
    struct MHD_Daemon *http = start_http(place.fd);
    if (place.is_public)
        program_warn("%s can be reached from other machines, by anybody: names of streams, "
                     "programs and nodes can be read there",
                     place.text);
    printf(place.path ? "metrics: %s\n" : "metrics: http://%s/metrics\n", place.text);
    if (fflush(stdout) != 0)
        program_warn("nobody reads where the metrics are: %m");
    serve(http);
    place.fd = -1; /* the daemon closes it */
    MHD_stop_daemon(http);
    listen_close(&place);
    for (unsigned i = 0; i < OPENMETRICS_DIALECTS; i++)
        if (server.page[i].response)
            MHD_destroy_response(server.page[i].response);
    gather_close(server.gather);
    shmframe_session_close(server.session);
    return EXIT_DONE;
}
