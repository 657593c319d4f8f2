/* Ports of this machine, for servers that tests start. */
#ifndef TESTS_PORT_H
#define TESTS_PORT_H

#include <stdbool.h>
#include <sys/types.h>

/* A port that is free at this moment. */
int port_find(bool is_udp);

/* Waits until somebody listens there. Returns false if the process `pid` ended before that. */
bool port_wait(int port, bool is_udp, pid_t pid);

#endif
