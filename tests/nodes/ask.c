/* Says one thing to a supervisor, for tests: the answer as JSON, one line a thing.
 *
 *   ask SOCKET nodes
 *   ask SOCKET events AFTER         those there are
 *   ask SOCKET VERB [NODE]          {"code": -22, "error": "...", "lines": [...]}
 */
#include <errno.h>
#include <jansson.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 300 };
#define DEADLINE_NS INT64_C(20000000000)

static void print(json_t *object) {
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static int ask_nodes(struct shmframe_session *session) {
    static struct shmframe_node_info info[ROOM];
    const int count =
        shmframe_session_nodes(session, shmframe_deadline_ns(DEADLINE_NS), info, ROOM);
    for (int i = 0; i < count && i < ROOM; i++)
        print(json_pack("{ss ss ss si si si si sI sI ss}", "name", info[i].name, "kind",
                        info[i].kind, "state", info[i].state, "pid", info[i].pid, "starts",
                        (int)info[i].starts, "restarts", (int)info[i].restarts, "exit_status",
                        info[i].exit_status, "since_ns", (json_int_t)info[i].since_ns, "next_ns",
                        (json_int_t)info[i].next_ns, "reason", info[i].reason));
    return count < 0 ? count : 0;
}

static int ask_events(struct shmframe_session *session, uint64_t after) {
    static struct shmframe_event event[ROOM];
    int count;
    while ((count = shmframe_session_events(session, after, SHMFRAME_NOW, event, ROOM)) > 0)
        for (int i = 0; i < count; i++) {
            after = event[i].id;
            print(json_pack("{sI ss ss si ss}", "id", (json_int_t)event[i].id, "type",
                            shmframe_event_type_name(event[i].type), "name", event[i].name, "pid",
                            event[i].pid, "text", event[i].text));
        }
    return count == -EAGAIN ? 0 : count;
}

static void take_line(void *user, const char *text) {
    json_array_append_new(user, json_string(text));
}

static int command(struct shmframe_session *session, const char *verb, const char *node) {
    json_t *lines = json_array();
    const int code = shmframe_session_command(session, verb, node,
                                              shmframe_deadline_ns(DEADLINE_NS), take_line, lines);
    print(json_pack("{si ss so}", "code", code, "error", code < 0 ? shmframe_last_error() : "",
                    "lines", lines));
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    struct shmframe_session *session = NULL;
    const struct shmframe_session_params params = {
        .socket = argv[1], .name = "ask", .deadline_ns = shmframe_deadline_ns(DEADLINE_NS)};
    int code = shmframe_session_open(&params, &session);
    if (code == 0 && strcmp(argv[2], "nodes") == 0)
        code = ask_nodes(session);
    else if (code == 0 && strcmp(argv[2], "events") == 0)
        code = ask_events(session, argc > 3 ? strtoull(argv[3], NULL, 10) : 0);
    else if (code == 0)
        code = command(session, argv[2], argc > 3 ? argv[3] : NULL);
    shmframe_session_close(session);
    if (code < 0)
        fprintf(stderr, "ask: %s\n", shmframe_last_error());
    return code < 0;
}
