/* Put before a program: no name is ever found, nor not found. */
#include <netdb.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out_found) {
    (void)name;
    (void)service;
    (void)hints;
    (void)out_found;
    for (;;)
        pause();
}
