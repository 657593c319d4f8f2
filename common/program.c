#include "program.h"
#include "near.h"
#include "option.h"
#include "orphan.h"
#include "progress.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    OPTIONS_MAX = 64,
    HELP_COLUMNS = 80,
    /* Values of getopt_long() for long options: above any short one. */
    VALUE_HELP = 256,
    VALUE_VERSION,
    VALUE_FIRST,
};

static const char *program_name = "shmframe";
static int exit_failed = EXIT_FAILED;

/* All that getopt_long() needs, made of the program's tables. */
struct parser {
    const struct option_spec *spec[OPTIONS_MAX];
    int spec_count;
    struct option longs[OPTIONS_MAX + 3];
    char shorts[2 * OPTIONS_MAX + 8];
};

/* Messages. */

static void print_line(const char *text, va_list values) {
    char line[1024];
    vsnprintf(line, sizeof(line), text, values);
    progress_clear();
    fprintf(progress_file(), "%s: %s\n", program_name, line);
}

void program_warn(const char *text, ...) {
    va_list values;
    va_start(values, text);
    print_line(text, values);
    va_end(values);
}

_Noreturn void program_fail(const char *text, ...) {
    va_list values;
    va_start(values, text);
    print_line(text, values);
    va_end(values);
    exit(exit_failed);
}

_Noreturn void program_fail_call(const char *what) {
    program_fail("%s: %s", what, shmframe_last_error());
}

_Noreturn void program_fail_usage(const char *text, ...) {
    char line[768];
    va_list values;
    va_start(values, text);
    vsnprintf(line, sizeof(line), text, values);
    va_end(values);
    program_warn("%s; see %s --help", line, program_name);
    exit(EXIT_USAGE);
}

/* Help. */

/* Prints `text` from column `indent` on, broken at spaces. The cursor is at `column` already. */
static void print_wrapped(const char *text, int column, int indent) {
    if (column > indent - 2) {
        putchar('\n');
        column = 0;
    }
    printf("%*s", indent - column, "");
    column = indent;
    while (*text) {
        const int word = (int)strcspn(text, " ");
        if (column > indent && column + 1 + word > HELP_COLUMNS) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option(const struct option_spec *spec, int indent) {
    char letter[8] = "    ";
    if (spec->letter)
        snprintf(letter, sizeof(letter), "-%c, ", spec->letter);
    const int column = printf("  %s--%s%s%s", letter, spec->name, spec->argument ? " " : "",
                              spec->argument ? spec->argument : "");
    print_wrapped(spec->help, column, indent);
}

static int find_help_indent(const struct parser *parser) {
    size_t widest = strlen("version");
    for (int i = 0; i < parser->spec_count; i++) {
        const struct option_spec *spec = parser->spec[i];
        const size_t width = strlen(spec->name) + (spec->argument ? 1 + strlen(spec->argument) : 0);
        if (width > widest && width <= 22)
            widest = width;
    }
    return (int)widest + 10;
}

static void print_help(const struct program *program, const struct parser *parser) {
    static const struct option_spec help = {
        .name = "help", .letter = 'h', .help = "print this and exit"};
    static const struct option_spec version = {
        .name = "version", .letter = 'V', .help = "print the version and exit"};

    printf("Usage: %s [OPTION]...%s%s\n", program->name, program->operands ? " " : "",
           program->operands ? program->operands : "");
    printf("%s\n\nOptions:\n", program->purpose);
    const int indent = find_help_indent(parser);
    for (int i = 0; i < parser->spec_count; i++)
        print_option(parser->spec[i], indent);
    print_option(&help, indent);
    print_option(&version, indent);
    if (program->notes)
        printf("\n%s\n", program->notes);
}

/* Options. */

static void add_options(struct parser *parser, const struct option_spec *specs) {
    size_t used = strlen(parser->shorts);
    for (; specs && specs->name; specs++) {
        assert(parser->spec_count < OPTIONS_MAX);
        const bool has_argument = specs->kind != OPTION_FLAG;
        parser->longs[parser->spec_count] = (struct option){
            .name = specs->name,
            .has_arg = has_argument ? required_argument : no_argument,
            .val = VALUE_FIRST + parser->spec_count,
        };
        parser->spec[parser->spec_count++] = specs;
        if (!specs->letter)
            continue;
        assert(specs->letter != 'h' && specs->letter != 'V' &&
               !strchr(parser->shorts, specs->letter));
        parser->shorts[used++] = specs->letter;
        if (has_argument)
            parser->shorts[used++] = ':';
    }
}

static void build_parser(struct parser *parser, const struct program *program) {
    memset(parser, 0, sizeof(*parser));
    /* The plus: stop at the first operand. The colon: a missing argument is told apart. */
    strcpy(parser->shorts, program->has_options_first ? "+:hV" : ":hV");
    add_options(parser, program->options);
    add_options(parser, program->options2);
    parser->longs[parser->spec_count] = (struct option){.name = "help", .val = VALUE_HELP};
    parser->longs[parser->spec_count + 1] =
        (struct option){.name = "version", .val = VALUE_VERSION};
}

static const struct option_spec *find_spec(const struct parser *parser, int value) {
    if (value >= VALUE_FIRST)
        return parser->spec[value - VALUE_FIRST];
    for (int i = 0; i < parser->spec_count; i++)
        if (parser->spec[i]->letter && parser->spec[i]->letter == value)
            return parser->spec[i];
    return NULL;
}

_Noreturn static void fail_option(const struct parser *parser, bool is_argument_missing,
                                  char *const *argv) {
    const struct option_spec *spec = optopt ? find_spec(parser, optopt) : NULL;
    if (is_argument_missing && spec)
        program_fail_usage("--%s needs a value (%s)", spec->name, spec->argument);
    if (spec || optopt >= VALUE_FIRST - 2)
        program_fail_usage("%s: this option takes no value", argv[optind - 1]);
    if (optopt)
        program_fail_usage("-%c is not an option", optopt);
    struct near near;
    program_fail_usage("%s", near_option(&near, argv[optind - 1], parser->longs));
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int program_start(const struct program *program, int argc, char **argv) {
    program_name = program->name;
    exit_failed = program->exit_failed ? program->exit_failed : EXIT_FAILED;
    struct parser parser;
    build_parser(&parser, program);
    opterr = 0;
    optind = 0; /* glibc: scan from the start, also when a test parses twice */

    int value;
    while ((value = getopt_long(argc, argv, parser.shorts, parser.longs, NULL)) != -1) {
        if (value == VALUE_HELP || value == 'h') {
            print_help(program, &parser);
            exit(EXIT_DONE);
        }
        if (value == VALUE_VERSION || value == 'V') {
            printf("%s %s\n", program->name, SHMFRAME_VERSION);
            exit(EXIT_DONE);
        }
        if (value == '?' || value == ':')
            fail_option(&parser, value == ':', argv);
        const struct option_spec *spec = find_spec(&parser, value);
        const char *wanted = option_store(spec, optarg);
        if (wanted)
            program_fail_usage("--%s: \"%s\" should be %s", spec->name, optarg, wanted);
    }
    if (!program->operands && optind < argc)
        program_fail_usage("\"%s\" is too much: only options are taken", argv[optind]);
    raise_descriptor_limit();
    return optind;
}

/* Stopping. */

static atomic_bool is_stopping;
static int stop_fd = -1;
static struct shmframe_session *_Atomic stop_session;

void program_stop(void) {
    const int saved_errno = errno;
    atomic_store(&is_stopping, true);
    if (stop_fd >= 0)
        (void)!write(stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    struct shmframe_session *session = atomic_load(&stop_session);
    if (session)
        shmframe_session_interrupt(session);
    errno = saved_errno;
}

/* The same twice is impatience. Of two kinds it is not: `shmframe run` sends SIGTERM some time
 * after SIGINT; nor at once: timeout(1) signals the program, and again its process group. */
static const int64_t impatience_ns = 500000000;

static void stop_on_signal(int signal_number) {
    static _Atomic int64_t first_ns[NSIG];
    const int64_t now_ns = shmframe_now_ns();
    if (first_ns[signal_number] == 0) {
        first_ns[signal_number] = now_ns;
    } else if (now_ns - first_ns[signal_number] >= impatience_ns) {
        /* As if there were no handler: it is delivered when this one returns. */
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    program_stop();
}

/* Not SA_RESTART: a sleeping call returns, and the loop around it looks at program_is_stopping().
 */
static void handle_signals(void (*handler)(int)) {
    const struct sigaction stop = {.sa_handler = handler}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* by nohup(1) */
        sigaction(SIGHUP, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

static int end_code;

static void end_on_signal(int signal_number) {
    (void)signal_number;
    _exit(end_code);
}

void program_end_on_signals(int exit_code) {
    end_code = exit_code;
    handle_signals(end_on_signal);
    if (program_is_stopping())
        _exit(exit_code);
}

void program_stop_on_signals(struct shmframe_session *session) {
    if (stop_fd < 0) {
        stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (stop_fd < 0)
            program_fail("no descriptor for signals: %m");
    }
    atomic_store(&stop_session, session);
    handle_signals(stop_on_signal);
    /* A signal that came before the session was known has not interrupted it. */
    if (atomic_load(&is_stopping) && session)
        shmframe_session_interrupt(session);
}

bool program_is_stopping(void) {
    return atomic_load(&is_stopping);
}

int program_stop_fd(void) {
    return stop_fd;
}

/* Session. */

/* Terminals differ in these variables, and a supervisor may have been told another path. Without a
 * login, as after su(1), nobody has made the folder that its own would be in. */
static void print_socket_hint(char *hint, size_t bytes) {
    const char *path = getenv("SHMFRAME_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
    char folder[128];
    snprintf(folder, sizeof(folder), "/run/user/%u", (unsigned)geteuid());
    if (!runtime || runtime[0] != '/')
        runtime = folder;
    if (path && *path)
        snprintf(
            hint, bytes,
            "this path comes from SHMFRAME_SOCKET: unset it, or start shmframed with the same");
    else if (access(runtime, F_OK) < 0 && errno == ENOENT)
        snprintf(
            hint, bytes,
            "there is no folder %.100s, which a login makes: set SHMFRAME_SOCKET to a path such "
            "as /tmp/NAME/socket, for shmframed and all programs",
            runtime);
    else
        snprintf(hint, bytes, "if shmframed runs with --socket, set SHMFRAME_SOCKET to that path");
}

struct shmframe_session *program_open_session(void) {
    const struct shmframe_session_params params = {
        .name = getenv("SHMFRAME_NODE") ? NULL : program_name, /* a node's name is the library's */
        .deadline_ns = shmframe_deadline_ns(INT64_C(2000000000)),
    };
    struct shmframe_session *session;
    const int result = shmframe_session_open(&params, &session);
    char hint[256];
    if (result == -ENOTCONN) {
        print_socket_hint(hint, sizeof(hint));
        program_fail("%s; %s", shmframe_last_error(), hint);
    }
    if (result < 0)
        program_fail("%s", shmframe_last_error());
    orphan_watch(session);
    return session;
}

void program_close_session(struct shmframe_session *session) {
    atomic_store(&stop_session, NULL);
    orphan_unwatch(session);
    shmframe_session_close(session);
}
