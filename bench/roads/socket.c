#include "program.h"
#include "stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WANTED_BYTES = 4 << 20, PACKET_BYTES = 128 << 10 };

/* As much as the kernel lets it keep, up to what is wanted. */
static size_t enlarge(int fd, int option, int force) {
    const int wanted = WANTED_BYTES;
    if (setsockopt(fd, SOL_SOCKET, force, &wanted, sizeof(wanted)) < 0)
        (void)!setsockopt(fd, SOL_SOCKET, option, &wanted, sizeof(wanted));
    int bytes = 0;
    socklen_t length = sizeof(bytes);
    (void)!getsockopt(fd, SOL_SOCKET, option, &bytes, &length);
    return (size_t)bytes;
}

static void *prepare_pairs(const struct road_plan *plan, int type, size_t packet_bytes) {
    struct stream *stream = stream_create(plan);
    stream->is_socket = true;
    stream->packet_bytes = packet_bytes;
    for (uint32_t i = 0; i < plan->readers; i++) {
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, stream->end[i]) < 0)
            program_fail("no sockets: %m");
        stream->kernel_bytes = enlarge(stream->end[i][1], SO_SNDBUF, SO_SNDBUFFORCE);
    }
    return stream;
}

static void *prepare_streams(const struct road_plan *plan) {
    return prepare_pairs(plan, SOCK_STREAM, 0);
}

static void *prepare_packets(const struct road_plan *plan) {
    return prepare_pairs(plan, SOCK_SEQPACKET, PACKET_BYTES);
}

/* ---- TCP ---- */

static int listen_on_loopback(struct sockaddr_in *out_address) {
    *out_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct sockaddr *address = (struct sockaddr *)out_address;
    socklen_t length = sizeof(*out_address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, address, length) < 0 || listen(fd, ROAD_READERS_MAX) < 0 ||
        getsockname(fd, address, &length) < 0)
        program_fail("no TCP on the loopback interface: %m");
    return fd;
}

static void *prepare_tcp(const struct road_plan *plan) {
    struct stream *stream = stream_create(plan);
    struct sockaddr_in address;
    const int listener = listen_on_loopback(&address);
    const int yes = 1;
    stream->is_socket = true;
    for (uint32_t i = 0; i < plan->readers; i++) {
        int *end = stream->end[i];
        end[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (end[0] < 0 || connect(end[0], (struct sockaddr *)&address, sizeof(address)) < 0)
            program_fail("no TCP on the loopback interface: %m");
        end[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (end[1] < 0 || setsockopt(end[1], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
            program_fail("no TCP on the loopback interface: %m");
        stream->kernel_bytes =
            enlarge(end[1], SO_SNDBUF, SO_SNDBUFFORCE) + enlarge(end[0], SO_RCVBUF, SO_RCVBUFFORCE);
    }
    close(listener);
    return stream;
}

const struct road road_unix = {
    .name = "unix",
    .title = "AF_UNIX stream",
    .how =
        "a connection for each reader, SO_SNDBUF 4 MiB; one write a message; small ones are read "
        "as many as there are, large ones with MSG_WAITALL",
    .prepare = prepare_streams,
    STREAM_MEMBERS};
const struct road road_seqpacket = {
    .name = "seqpacket",
    .title = "AF_UNIX seqpacket",
    .how =
        "a connection for each reader, SO_SNDBUF 4 MiB; a packet a message, large ones in packets "
        "of 128 KiB, received in place",
    .prepare = prepare_packets,
    STREAM_MEMBERS};
const struct road road_tcp = {.name = "tcp",
                              .title = "TCP, loopback",
                              .how = "as AF_UNIX stream, TCP_NODELAY, SO_RCVBUF 4 MiB too",
                              .prepare = prepare_tcp,
                              STREAM_MEMBERS};
