/* Texts that programs of the project read: the first byte says which.
 *
 *   c  a pipeline file                      r  two of them, divided by a 0: a reload
 *   n  the names' file of a supervisor      o  its nodes' file, behind the pipeline file and a 0
 *   j  run.json of a report
 */
#include "comparison_run.h"
#include "config.h"
#include "host.h"
#include "input.h"
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

static const char PATH[] = "/usr/pipeline.ini";

/* ---- pipeline files ---- */

static void check_order(const struct config *config) {
    static bool is_seen[CONFIG_NODES_MAX];
    memset(is_seen, 0, sizeof(is_seen));
    for (size_t i = 0; i < config->nodes; i++) {
        const size_t node = config->start_order[i];
        fuzz_must(node < config->nodes && !is_seen[node], "the order of starts is none");
        is_seen[node] = true;
    }
}

static void check_limits(const struct config *config) {
    for (size_t i = 0; i < config->nodes; i++) {
        const struct config_node *node = &config->node[i];
        fuzz_must(node->command && node->shell_line, "a node has no command");
        fuzz_must(!config_node_needs_restart(node, node) && config_node_applies_same(node, node),
                  "a node differs from itself");
        for (size_t k = 0; k < config->streams; k++) {
            const char *stream = config->stream[k].name;
            const struct config_watch hold = config_hold(config, node, stream);
            const struct config_watch stall = config_stall(config, node, stream, 40000000);
            fuzz_must(hold.limit_ns >= 0 && hold.action != CONFIG_ACTION_UNSET &&
                          stall.limit_ns >= 0 && stall.action != CONFIG_ACTION_UNSET,
                      "a limit is not set");
        }
    }
}

static void check_problems(const struct config_problems *problems) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    fuzz_must(file != NULL, "no memory");
    config_problems_print(problems, PATH, file);
    fclose(file);
    fuzz_must(strlen(text) == bytes, "a mistake is told with a 0 in it");
    free(text);
    for (size_t i = 1; i < problems->count; i++)
        fuzz_must(problems->problem[i].line >= problems->problem[i - 1].line,
                  "mistakes are not told by line");
}

/* To be destroyed in any case. */
static bool parse(const uint8_t *text, size_t bytes, struct config *out_config) {
    struct config_problems problems;
    const int code = config_parse((const char *)text, bytes, PATH, out_config, &problems);
    fuzz_must(code == 0 || code == -EINVAL, "a text is neither right nor wrong");
    fuzz_must((code == 0) == (problems.count == 0), "a mistake is not told, or there is none");
    fuzz_must(code == 0 || (out_config->nodes == 0 && out_config->streams == 0),
              "something of a wrong text is used");
    check_problems(&problems);
    config_problems_destroy(&problems);
    check_order(out_config);
    check_limits(out_config);
    return code == 0;
}

static void parse_one(const uint8_t *text, size_t bytes) {
    struct config config;
    parse(text, bytes, &config);
    config_destroy(&config);
}

static void parse_two(const uint8_t *text, size_t bytes) {
    const uint8_t *end = bytes ? memchr(text, '\0', bytes) : NULL;
    const size_t first_bytes = end ? (size_t)(end - text) : bytes;
    const size_t rest = bytes - first_bytes - (end != NULL);
    struct config first, second;
    parse(text, first_bytes, &first);
    parse(end ? end + 1 : text, end ? rest : first_bytes, &second);
    for (size_t i = 0; i < first.nodes; i++) {
        const struct config_node *node = config_find_node(&second, first.node[i].name);
        if (!node)
            continue;
        const bool needs = config_node_needs_restart(&first.node[i], node);
        const bool is_same = config_node_applies_same(&first.node[i], node);
        fuzz_must(needs == config_node_needs_restart(node, &first.node[i]),
                  "a change is none in the other direction");
        fuzz_must(end || (!needs && is_same), "the same text says two things");
    }
    config_destroy(&first);
    config_destroy(&second);
}

/* ---- files of a supervisor ---- */

static void write_file(const char *kind, const void *head, size_t head_bytes, const void *bytes,
                       size_t count) {
    char name[64];
    const struct server *server = host_server();
    snprintf(name, sizeof(name), "socket.%s", kind);
    const int fd = openat(server->listener.folder, name,
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    fuzz_must(fd >= 0 && write(fd, head, head_bytes) == (ssize_t)head_bytes &&
                  write(fd, bytes, count) == (ssize_t)count,
              "a file cannot be written");
    close(fd);
}

/* What a stream is known by, in one number. */
static uint64_t sum_streams(void) {
    uint64_t sum = 0;
    const struct stream *stream;
    TAILQ_FOREACH (stream, &host_server()->streams, all) {
        const uint64_t parts[] = {stream->generation, stream->gone_generation, stream->sequence,
                                  stream->former_followed, stream->owner != NULL};
        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
            sum = sum * UINT64_C(0x9e3779b97f4a7c15) + parts[i];
        for (const char *c = stream->name; *c; c++)
            sum = sum * UINT64_C(0x9e3779b97f4a7c15) + (uint8_t)*c;
    }
    return sum;
}

static void check_names(void) {
    const struct stream *stream;
    host_check();
    TAILQ_FOREACH (stream, &host_server()->streams, all) {
        fuzz_must(stream->generation > 0 && stream->sequence <= LIMIT_SEQUENCE_SEEN,
                  "a stream was taken whose numbers cannot be");
        fuzz_must(!stream->writer && stream->reader_count == 0, "somebody is here already");
    }
}

/* An @ is the number and the start time of this process: nobody else in a file is sure to live. */
static size_t put_process(const uint8_t *text, size_t bytes, char *out, size_t room) {
    char own[64];
    const int length = snprintf(own, sizeof(own), "%d %" PRIu64, (int)getpid(), host_start_time());
    size_t count = 0;
    for (size_t i = 0; i < bytes && count + sizeof(own) < room; i++) {
        const bool is_own = text[i] == '@';
        memcpy(out + count, is_own ? own : (const char *)&text[i], is_own ? (size_t)length : 1);
        count += is_own ? (size_t)length : 1;
    }
    return count;
}

/* What is read is written as it is, and read again as it was. */
static void load_names(const uint8_t *raw, size_t raw_bytes) {
    static const char head[] = "shmframe-names 3\n";
    static char text[1 << 16];
    const size_t bytes = put_process(raw, raw_bytes, text, sizeof(text));
    struct server *server = host_server();
    server->started_ns = shmframe_now_ns();
    const bool has_own_head = bytes && text[0] == 's';
    write_file("names", head, has_own_head ? 0 : sizeof(head) - 1, text, bytes);
    names_load(server);
    check_names();
    const uint64_t sum = sum_streams();
    const unsigned count = server->stream_count;
    names_save(server);
    host_forget();
    names_load(server);
    check_names();
    fuzz_must(server->stream_count == count && sum_streams() == sum,
              "what was saved is not what is loaded");
    host_forget();
    fuzz_must(TAILQ_EMPTY(&server->processes), "a process is watched for nobody");
}

static void forget_nodes(struct server *server) {
    struct node *node;
    while ((node = TAILQ_FIRST(&server->pipeline.nodes))) {
        TAILQ_REMOVE(&server->pipeline.nodes, node, all);
        node_drop_process(node);
        node->policy.state = NODE_STOPPED;
        node_destroy(node);
    }
}

static void load_nodes(const uint8_t *text, size_t bytes) {
    struct server *server = host_server();
    char head[128], boot[64] = "unknown\n";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file && !fgets(boot, sizeof(boot), file))
        strcpy(boot, "unknown\n");
    if (file)
        fclose(file);
    boot[strcspn(boot, "\n")] = '\0';
    const int length = snprintf(head, sizeof(head), "shmframe-nodes 2 %s %s\n", boot, PATH);
    const uint8_t *end = bytes ? memchr(text, '\0', bytes) : NULL;
    const size_t config_bytes = end ? (size_t)(end - text) : bytes;
    write_file("config", "", 0, text, config_bytes);
    write_file("nodes", head, (size_t)length, end ? end + 1 : text,
               end ? bytes - config_bytes - 1 : 0);
    nodes_load(server);
    const struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all) {
        fuzz_must(shmframe_name_is_valid(node->name), "a node has a name that is none");
        fuzz_must(memchr(node->reason, '\0', sizeof(node->reason)), "a reason does not end");
        fuzz_must(node->policy.starts <= POLICY_BURST_MAX, "a node has too many starts");
        fuzz_must((unsigned)node->policy.state < NODE_STATES, "a node is in no state");
        struct shmframe_node_info info;
        node_fill_info(node, &info);
    }
    forget_nodes(server);
}

/* ---- run.json ---- */

static void read_run(const uint8_t *text, size_t bytes) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("run.json", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    fuzz_must(ftruncate(fd, 0) == 0 && pwrite(fd, text, bytes, 0) == (ssize_t)bytes, "no file");
    struct comparison_file file;
    char reason[COMPARISON_REASON_BYTES] = "";
    if (!comparison_file_read(path, &file, reason)) {
        fuzz_must(reason[0] && memchr(reason, '\0', sizeof(reason)), "no reason is told");
        return;
    }
    fuzz_must(file.runs > 0, "a file without runs is taken");
    for (size_t i = 0; i < file.runs; i++) {
        const struct comparison_run *run = &file.run[i];
        fuzz_must(comparison_run_is_same(run, run), "a run differs from itself");
        fuzz_must(comparison_file_find(&file, run->fact[COMPARISON_STREAM]), "a run is not found");
        (void)comparison_run_medium(run);
        for (size_t block = 0; block < run->blocks; block++)
            for (int hop = 0; hop < RUN_HOPS; hop++) {
                const struct run_values *values = &run->block[block].hop[hop];
                (void)run_values_total(values);
                (void)run_values_quantile_ns(values, 0.99);
            }
    }
    (void)comparison_file_only(&file, COMPARISON_PICTURE);
    comparison_file_finish(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const uint8_t kind = count ? bytes[0] : 'c';
    const uint8_t *text = count ? bytes + 1 : bytes;
    const size_t length = count ? count - 1 : 0;
    switch (kind) {
    case 'r':
        parse_two(text, length);
        break;
    case 'n':
        load_names(text, length);
        break;
    case 'o':
        load_nodes(text, length);
        break;
    case 'j':
        read_run(text, length);
        break;
    default:
        parse_one(text, length);
    }
    return 0;
}
