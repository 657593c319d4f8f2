/* What every program here does alike: options, --help and --version, stopping, messages. */
#ifndef COMMON_PROGRAM_H
#define COMMON_PROGRAM_H

#include <shmframe/shmframe.h>
#include <stdbool.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,              /* bool *            --loop                        */
    OPTION_TEXT,              /* const char **     --stream NAME                 */
    OPTION_COUNT,             /* uint32_t *        --frames 100                  */
    OPTION_NUMBER,            /* double *          --gain 0.5                    */
    OPTION_DURATION,          /* int64_t *, ns     --duration 10, 1.5s, 200ms, 50us, 3m */
    OPTION_POSITIVE_COUNT,    /* likewise, where 0 makes no sense */
    OPTION_POSITIVE_DURATION, /* likewise */
    OPTION_SIZE,              /* uint32_t[2]       --size 1920x1080              */
    OPTION_RATIONAL,          /* struct shmframe_rational *  --rate 60, 30000/1001, 29.97 */
    OPTION_LIST,              /* struct option_list *, may be given again and again */
};

/* The texts of an option that is given several times, in their order. */
struct option_list {
    const char *text[16];
    uint32_t count;
};

struct option_spec {
    const char *name; /* long, without dashes; NULL ends the table */
    char letter;      /* short form, 0: none */
    enum option_kind kind;
    void *out;            /* left alone when the option is not given: put the default there */
    const char *argument; /* what --help calls the argument; NULL for flags */
    const char *help;
};

struct program {
    const char *name;       /* "shmframe-pattern" */
    const char *purpose;    /* one line */
    const char *operands;   /* "[FILE]"; NULL: none are taken */
    bool has_options_first; /* they end at the first operand: what follows may begin with a dash */
    const char *notes;      /* printed after the options (keys, examples); may be NULL */
    const struct option_spec *options;  /* own */
    const struct option_spec *options2; /* shared with programs of its kind; may be NULL */
    int exit_failed; /* of program_fail(), where EXIT_FAILED says something else; 0: EXIT_FAILED */
};

/* Exit codes of all programs. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Parses; prints and exits by itself for --help (0), --version (0) and usage errors (2, naming the
 * option, what was wrong and the remedy). Raises the soft limit of descriptors to the hard one.
 * Returns the index of the first operand in argv. */
int program_start(const struct program *program, int argc, char **argv);

/* From now on SIGINT, SIGTERM and SIGHUP end the program at once with `exit_code`, whatever it waits
 * for: while nothing has begun that would have to be ended. Until program_stop_on_signals(); what
 * came after an earlier call of that counts here as well. SIGPIPE and SIGXFSZ are ignored. */
void program_end_on_signals(int exit_code);

/* From now on SIGINT, SIGTERM and SIGHUP make program_is_stopping() true and interrupt `session`
 * (may be NULL). The same signal again, half a second later or more, ends the program at once: its
 * last resort, whatever it hangs in. SIGPIPE and SIGXFSZ are ignored. */
void program_stop_on_signals(struct shmframe_session *session);
bool program_is_stopping(void);
/* The same as a signal, from the program itself. */
void program_stop(void);
/* Readable once program_is_stopping(): for poll(), beside what else is waited for. -1 before
 * program_stop_on_signals(). Never read it. */
int program_stop_fd(void);

/* One line on stderr, "NAME: message". Safe from one thread at a time. */
void program_warn(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* Likewise, then exit(EXIT_FAILED), or the program's own code. */
_Noreturn void program_fail(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* program_fail("WHAT: shmframe_last_error()"). */
_Noreturn void program_fail_call(const char *what);
/* One line as program_warn(), pointing at --help, then exit(EXIT_USAGE): for options that parse but
 * make no sense together. */
_Noreturn void program_fail_usage(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* Opens the session all programs use: waits up to 2 s for a supervisor, fails with a clear line. */
struct shmframe_session *program_open_session(void);
/* Closes it, after signals were told to leave it alone. NULL is allowed. */
void program_close_session(struct shmframe_session *session);

#endif
