/* shmframe complete WORD...: what the last WORD, which may be empty, may become. For shells; see
 * completion/. It says nothing where it knows nothing, and never fails: nobody would see why. */
#include "consumer.h"
#include "help.h"
#include "run_block.h"
#include "tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 256 };

/* Whoever presses Tab waits: for a program's --help, for the supervisor, and for its answer. What
 * takes longer on a busy machine is not busy, but stuck. */
#define PROGRAM_NS    INT64_C(2000000000)
#define SUPERVISOR_NS INT64_C(1000000000)

static void offer(const char *word, const char *begin) {
    if (*word && strncmp(word, begin, strlen(begin)) == 0)
        puts(word);
}

/* ---- what programs say ---- */

_Noreturn static void say(int out, const char *const *words) {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDERR_FILENO);
    dup2(out, STDOUT_FILENO);
    execv("/proc/self/exe", (char *const *)words);
    _exit(127);
}

/* Reads what comes until the end, or until the deadline. */
static void read_until(int end, int64_t deadline_ns, char text[HELP_BYTES]) {
    size_t bytes = 0;
    ssize_t more = 1;
    while (more > 0 && bytes < HELP_BYTES - 1) {
        const int64_t left_ns = deadline_ns - shmframe_now_ns();
        struct pollfd ready = {.fd = end, .events = POLLIN};
        if (left_ns <= 0 || poll(&ready, 1, (int)(left_ns / 1000000) + 1) <= 0)
            break;
        more = read(end, text + bytes, HELP_BYTES - 1 - bytes);
        bytes += more > 0 ? (size_t)more : 0;
    }
    text[bytes] = '\0';
}

/* What shmframe prints when called with `words`, cut to fit, and what it has not printed in time.
 */
static void ask_program(const char *const *words, char text[HELP_BYTES]) {
    int ends[2];
    text[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        say(ends[1], words);
    }
    close(ends[1]);
    if (pid > 0) {
        setpgid(pid, pid);
        read_until(ends[0], shmframe_deadline_ns(PROGRAM_NS), text);
        kill(-pid, SIGKILL); /* and what it started: it is of no use any more */
        waitpid(pid, NULL, 0);
    }
    close(ends[0]);
}

static void offer_commands(const char *begin) {
    static char text[HELP_BYTES];
    ask_program((const char *[]){"shmframe", "commands", NULL}, text);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (strncmp(line, "  ", 2) != 0)
            continue;
        line[2 + strcspn(line + 2, " ")] = '\0';
        offer(line + 2, begin);
    }
    offer("commands", begin);
}

static void read_help(const char *command, struct help *help) {
    static char text[HELP_BYTES];
    ask_program(
        (const char *[]){"shmframe", command ? command : "--help", command ? "--help" : NULL, NULL},
        text);
    help_parse(help, text);
}

static void offer_options(const struct help *help, const char *begin) {
    for (unsigned i = 0; i < help->options; i++)
        offer(help->option[i].name, begin);
}

/* ---- what runs ---- */

static void be_woken(int signal_number) {
    (void)signal_number;
}

/* Signals end a wait for the supervisor: again and again, lest one comes before it. */
static void set_alarm(int64_t first_ns) {
    const struct itimerval timer = {
        .it_value = {.tv_sec = first_ns / 1000000000, .tv_usec = first_ns % 1000000000 / 1000},
        .it_interval = {.tv_usec = first_ns ? 20000 : 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* NULL: no supervisor, or one that does not answer at once. */
static struct shmframe_session *open_session(void) {
    struct shmframe_session *session;
    const struct shmframe_session_params params = {.name = "shmframe complete"};
    const struct sigaction wake = {.sa_handler = be_woken};
    sigaction(SIGALRM, &wake, NULL);
    set_alarm(SUPERVISOR_NS);
    const int code = shmframe_session_open(&params, &session);
    set_alarm(0);
    return code < 0 ? NULL : session;
}

struct question {
    struct shmframe_session *session;
    const char *stream;
    int64_t deadline_ns;
};

static int ask_streams(const struct question *question, void *list, uint32_t room) {
    return shmframe_session_streams(question->session, question->deadline_ns, list, room);
}

static int ask_readers(const struct question *question, void *list, uint32_t room) {
    return shmframe_session_readers(question->session, question->stream, question->deadline_ns,
                                    list, room);
}

static int ask_nodes(const struct question *question, void *list, uint32_t room) {
    return shmframe_session_nodes(question->session, question->deadline_ns, list, room);
}

/* All that there are: how many; below 0: it failed. The list is to be freed in any case. */
static int take_list(const struct question *question,
                     int (*ask)(const struct question *, void *, uint32_t), size_t item_bytes,
                     void **out_list) {
    for (uint32_t room = 64;; room *= 2) {
        *out_list = calloc(room, item_bytes);
        const int count = *out_list ? ask(question, *out_list, room) : -1;
        if (count <= (int)room)
            return count;
        free(*out_list);
    }
}

static void offer_streams(const struct question *question, const char *begin) {
    void *list;
    const int count = take_list(question, ask_streams, sizeof(struct shmframe_stream_info), &list);
    for (int i = 0; i < count; i++)
        offer(((struct shmframe_stream_info *)list)[i].name, begin);
    free(list);
}

static void offer_readers(const struct question *question, const char *begin) {
    void *list;
    const int count = take_list(question, ask_readers, sizeof(struct shmframe_reader_info), &list);
    for (int i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%u", ((struct shmframe_reader_info *)list)[i].number);
        offer(number, begin);
    }
    free(list);
}

static void offer_nodes(const struct question *question, const char *begin) {
    void *list;
    const int count = take_list(question, ask_nodes, sizeof(struct shmframe_node_info), &list);
    for (int i = 0; i < count; i++)
        offer(((struct shmframe_node_info *)list)[i].name, begin);
    free(list);
}

/* Things of that kind, by what --help calls it. `stream` is one that the line names; "": none. */
static void offer_kind(const char *kind, const char *stream, const char *begin) {
    if (strcmp(kind, "FORMAT") == 0) {
        offer("text", begin);
        offer("json", begin);
    } else if (strcmp(kind, "POLICY") == 0) {
        for (unsigned policy = SHMFRAME_LATEST; policy <= SHMFRAME_LOSSLESS; policy++)
            offer(consumer_policy_name(policy), begin);
    } else if (strcmp(kind, "HOP") == 0) {
        for (enum run_hop hop = 0; hop < RUN_HOPS; hop++)
            offer(run_hop_name(hop), begin);
    } else if (strcmp(kind, "STREAM") == 0 || strcmp(kind, "READER") == 0 ||
               strcmp(kind, "NODE") == 0) {
        struct shmframe_session *session = open_session();
        if (!session)
            return;
        const struct question question = {session, stream, shmframe_deadline_ns(SUPERVISOR_NS)};
        if (*kind == 'S')
            offer_streams(&question, begin);
        else if (*kind == 'N')
            offer_nodes(&question, begin);
        else if (*stream)
            offer_readers(&question, begin);
        shmframe_session_close(session);
    }
}

/* ---- the line ---- */

/* Where in the line the last word is. */
struct place {
    const struct help_option *option; /* whose value it is; NULL: it is an operand */
    unsigned operand;                 /* the how manieth, from 0 */
    const char *stream;               /* named before it; "": none */
};

static struct place find_place(const struct help *help, char **words, int count) {
    struct place place = {.stream = ""};
    for (int i = 0; i < count - 1; i++) {
        if (place.option) {
            place.option = NULL;
            continue;
        }
        const struct help_option *option = help_find_option(help, words[i]);
        if (option && option->argument[0]) {
            place.option = option;
        } else if (!option && words[i][0] != '-') {
            if (place.operand < help->operands &&
                strcmp(help->operand[place.operand].name, "STREAM") == 0)
                place.stream = words[i];
            place.operand++;
        }
    }
    return place;
}

static void offer_operands(const struct help *help, const struct place *place, const char *begin) {
    const char *offered = "";
    for (unsigned i = 0; i < help->operands && i <= place->operand; i++) {
        const struct help_operand *operand = &help->operand[i];
        if ((i < place->operand && !operand->is_repeated) || strcmp(operand->name, offered) == 0)
            continue;
        offer_kind(operand->name, place->stream, begin);
        offered = operand->name;
    }
}

int tool_complete(int argc, char **argv) {
    static struct help help;
    if (argc < 2 || argc > WORDS_MAX)
        return EXIT_DONE;
    const char *begin = argv[argc - 1];
    if (argc == 2 && *begin != '-') {
        offer_commands(begin);
        return EXIT_DONE;
    }
    read_help(argc == 2 ? NULL : argv[1], &help);
    const struct place place = find_place(&help, argv + 2, argc - 2);
    if (place.option)
        offer_kind(place.option->argument, place.stream, begin);
    else if (*begin == '-')
        offer_options(&help, begin);
    else
        offer_operands(&help, &place, begin);
    return EXIT_DONE;
}
