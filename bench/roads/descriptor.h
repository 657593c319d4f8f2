/* Descriptor: one that travels over an AF_UNIX socket with a message, and is closed on exec. */
#ifndef BENCH_ROADS_DESCRIPTOR_H
#define BENCH_ROADS_DESCRIPTOR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As send() and recv(), with one descriptor; -1 and errno when they fail. A message that comes
 * without one is EBADMSG. */
ssize_t descriptor_send(int socket, const void *data, size_t bytes, int descriptor);
ssize_t descriptor_receive(int socket, void *data, size_t bytes, int *out_descriptor);

/* Pairs of sockets that keep messages apart, one pair for each reader. One that cannot be made ends
 * the program. */
void descriptor_pairs_open(int pair[][2], uint32_t count);
void descriptor_pairs_close(int pair[][2], uint32_t count);

#endif
