/* Has the supervisor do something: command VERB [NODE]; or, with the verb "nodes", tells of each
 * node in a line: NAME STATE PID STARTS RESTARTS EXIT_STATUS */
#include <shmframe/shmframe.h>

#include <stdio.h>
#include <string.h>

static void print_line(void *user, const char *text) {
    (void)user;
    puts(text);
}

static int print_nodes(struct shmframe_session *session, int64_t deadline_ns) {
    struct shmframe_node_info node[64];
    const int count = shmframe_session_nodes(session, deadline_ns, node, 64);
    for (int i = 0; i < count; i++)
        printf("%s %s %d %u %u %d\n", node[i].name, node[i].state, node[i].pid, node[i].starts,
               node[i].restarts, node[i].exit_status);
    return count;
}

int main(int argc, char **argv) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(30000000000));
    const struct shmframe_session_params params = {.name = "command", .deadline_ns = deadline_ns};
    struct shmframe_session *session = NULL;
    int code = argc < 2 ? -1 : shmframe_session_open(&params, &session);
    if (code == 0 && strcmp(argv[1], "nodes") == 0)
        code = print_nodes(session, deadline_ns);
    else if (code == 0)
        code = shmframe_session_command(session, argv[1], argc > 2 ? argv[2] : NULL, deadline_ns,
                                        print_line, NULL);
    if (code < 0)
        printf("%d: %s\n", code, shmframe_last_error());
    shmframe_session_close(session);
    return code < 0;
}
