/* Store: descriptors that the service manager keeps while no supervisor runs (systemd's
 * FileDescriptorStoreMax=), by name:
 *
 *   node.NAME              a pidfd: who a node's process is, and how it ended in between
 *   ring.GENERATION.STREAM the newest ring of a stream: how far it came, if nobody is left to tell
 *
 * Without a service manager nothing is kept, and nothing comes.
 */
#ifndef SERVER_STORE_H
#define SERVER_STORE_H

#include <stdint.h>

struct server;

/* Sorts what the service manager passed: descriptors of these names are kept for store_take(), all
 * others are counted, and the first of them is *out_socket. */
int store_receive(int *out_socket);
/* The descriptor that was kept under this name; the caller's now. -1: none. */
int store_take(const char *name);
/* Takes what was kept for streams: to be called once their names are known. */
void store_restore_streams(struct server *server);
/* Whatever nobody took is given back: closed here, and there. */
void store_drop_rest(void);

void store_put_node(const char *node, int pidfd);
void store_remove_node(const char *node);
void store_put_ring(const char *stream, uint32_t generation, int fd);
void store_remove_ring(const char *stream, uint32_t generation);

#endif
