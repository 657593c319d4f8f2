/* shmframed: the supervisor that introduces writers and readers to each other. */
#include "error.h"
#include "near.h"
#include "protect.h"
#include "region.h"
#include "server.h"
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char HELP[] =
    "Usage: shmframed [OPTION]...\n"
    "Introduces writers and readers of shmframe streams to each other.\n"
    "\n"
    "  --socket PATH     where to listen; default $SHMFRAME_SOCKET, else\n"
    "                    $XDG_RUNTIME_DIR/shmframe/socket, else\n"
    "                    /run/user/UID/shmframe/socket\n"
    "  --allow-uid UID   serve this user too, besides root and the one it runs as;\n"
    "                    may be given several times\n"
    "  --settings FILE   who may use how much, see shmframed.conf(5); default\n"
    "                    ~/.config/shmframe/shmframed.conf, else /etc/shmframe/shmframed.conf\n"
    "  --limit KEY=VALUE a limit, as in [limits] of that file; may be given several times\n"
    "  --allow WHO       who may read streams of others: \"group video\", \"user anna\",\n"
    "                    several with commas between them, or \"all\" or \"none\"; default none\n"
    "  --reach WHO       who can open the socket: \"own\" (default), \"group NAME\" or \"all\"\n"
    "  --ready-fd FD     write a newline to FD, and close it, once it listens\n"
    "  --config FILE     run the nodes of this pipeline file, see shmframe-pipeline(5)\n"
    "  --private         end, and stop the nodes, once the process that started it is gone\n"
    "  --check           check that it could start so, say which version it is, and exit\n"
    "  --traceable       let debuggers of its user attach, and core files be written\n"
    "  --verbose         log every message\n"
    "  --quiet           log only what keeps it from doing its work\n"
    "  --help            show this text and exit\n"
    "  --version         show the version and exit\n"
    "\n"
    "It ends on SIGTERM and SIGINT, after its nodes; other programs' streams flow on,\n"
    "and the next one takes them over. SIGHUP: settings and pipeline file are read\n"
    "again.\n";

enum { LIMITS_MAX = 64 };

struct options {
    struct server_params server;
    bool is_check, is_traceable;
    const char *limit[LIMITS_MAX];
    struct settings scratch; /* where values of options are tried */
    char default_socket[4096];
};

_Noreturn static void fail(int status, const char *text) {
    fprintf(stderr, "shmframed: %s%s\n", text,
            status == EXIT_USAGE ? "; see shmframed --help" : "");
    exit(status);
}

_Noreturn static void fail_usage(const char *option, const char *value, const char *wanted) {
    char line[512];
    snprintf(line, sizeof(line), "--%s %s: %s", option, value, wanted);
    fail(EXIT_USAGE, line);
}

_Noreturn static void fail_expected(const char *option, const char *value) {
    char line[512];
    snprintf(line, sizeof(line), "--%s \"%s\": expected %s", option, value, shmframe_last_error());
    fail(EXIT_USAGE, line);
}

static unsigned long parse_number(const char *option, const char *text, unsigned long max) {
    char *end;
    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || number > max)
        fail_usage(option, text, "a number was expected");
    return number;
}

static void add_uid(struct server_params *server, const char *text) {
    if (server->allowed_uids >= ALLOWED_UIDS_MAX)
        fail_usage("allow-uid", text, "too many users");
    server->allowed_uid[server->allowed_uids++] =
        (uid_t)parse_number("allow-uid", text, UINT32_MAX - 1);
}

static void add_limit(struct options *options, const char *text) {
    struct settings_source *source = &options->server.source;
    if (source->limits >= LIMITS_MAX)
        fail_usage("limit", text, "too many limits");
    options->limit[source->limits++] = text;
    source->limit = options->limit;
    if (settings_set_limit(&options->scratch, text) < 0)
        fail_expected("limit", text);
}

static void set_allow(struct options *options, const char *text) {
    options->server.source.allow = text;
    if (settings_set_allow(&options->scratch, text) < 0)
        fail_expected("allow", text);
}

static void set_reach(struct options *options, const char *text) {
    options->server.source.reach = text;
    if (settings_set_reach(&options->scratch, text) < 0)
        fail_expected("reach", text);
}

static void set_ready_fd(struct server_params *server, const char *text) {
    server->ready_fd = (int)parse_number("ready-fd", text, INT32_MAX);
}

/* Before an upgrade the descriptor was used already, and its number may be another's. */
static void check_ready_fd(struct options *options) {
    struct upgrade_kept kept;
    struct server_params *server = &options->server;
    if (options->is_check || upgrade_take(&kept))
        server->ready_fd = -1;
    if (server->ready_fd < 0)
        return;
    if (fcntl(server->ready_fd, F_GETFD) < 0) {
        char text[16];
        snprintf(text, sizeof(text), "%d", server->ready_fd);
        fail_usage("ready-fd", text, "no such descriptor is open");
    }
    fcntl(server->ready_fd, F_SETFD, FD_CLOEXEC);
}

_Noreturn static void fail_option(bool is_value_missing, const struct option *options,
                                  char *const *argv) {
    const char *text = argv[optind - 1];
    struct near near;
    char line[512];
    if (is_value_missing)
        snprintf(line, sizeof(line), "%s needs a value", text);
    else if (strncmp(text, "--", 2) != 0 && optopt)
        snprintf(line, sizeof(line), "-%c is not an option", optopt);
    else if (optopt)
        snprintf(line, sizeof(line), "%s: this option takes no value", text);
    else
        snprintf(line, sizeof(line), "%s", near_option(&near, text, options));
    fail(EXIT_USAGE, line);
}

static void parse_options(struct options *options, int argc, char **argv) {
    static const struct option table[] = {
        {"socket", required_argument, NULL, 's'},   {"allow-uid", required_argument, NULL, 'u'},
        {"settings", required_argument, NULL, 'S'}, {"limit", required_argument, NULL, 'l'},
        {"allow", required_argument, NULL, 'a'},    {"reach", required_argument, NULL, 'e'},
        {"ready-fd", required_argument, NULL, 'r'}, {"config", required_argument, NULL, 'f'},
        {"private", no_argument, NULL, 'p'},        {"traceable", no_argument, NULL, 't'},
        {"check", no_argument, NULL, 'c'},          {"verbose", no_argument, NULL, 'v'},
        {"quiet", no_argument, NULL, 'q'},          {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},        {0},
    };
    int letter;
    opterr = 0;
    settings_init(&options->scratch, UINT64_C(1) << 40);
    while ((letter = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        switch (letter) {
        case 's':
            options->server.socket = optarg;
            break;
        case 'u':
            add_uid(&options->server, optarg);
            break;
        case 'S':
            options->server.source.path = optarg;
            break;
        case 'l':
            add_limit(options, optarg);
            break;
        case 'a':
            set_allow(options, optarg);
            break;
        case 'e':
            set_reach(options, optarg);
            break;
        case 'r':
            set_ready_fd(&options->server, optarg);
            break;
        case 'f':
            options->server.config = optarg;
            break;
        case 'p':
            options->server.is_private = true;
            break;
        case 'c':
            options->is_check = true;
            break;
        case 't':
            options->is_traceable = true;
            break;
        case 'v':
            log_set_level(LOG_DETAILS);
            break;
        case 'q':
            log_set_level(LOG_TROUBLE);
            break;
        case 'h':
            fputs(HELP, stdout);
            exit(EXIT_DONE);
        case 'V':
            puts("shmframed " SHMFRAME_VERSION);
            exit(EXIT_DONE);
        case '?':
        case ':':
            fail_option(letter == ':', table, argv);
        }
    }
    if (optind < argc) {
        char line[512];
        snprintf(line, sizeof(line), "\"%s\" is too much: only options are taken", argv[optind]);
        fail(EXIT_USAGE, line);
    }
}

/* Everything rests on the seal: a kernel that lets a sealed region be mapped for writing again
 * would let every reader write every frame. */
static int check_kernel(void) {
    struct region region, lease;
    int fd;
    int code = region_create("shmframe-selftest", PAGE_BYTES, &region, &fd);
    if (code < 0)
        return code;
    code = region_seal(fd, REGION_SEALED);
    if (code == 0)
        code = region_check(fd, REGION_SEALED, PAGE_BYTES, NULL);
    if (code == 0 && region_map_lease(fd, PAGE_BYTES, &lease) == 0) {
        region_unmap(&lease);
        code =
            error_set(-ENOTSUP, "this kernel lets sealed memory be mapped for writing: frames "
                                "could be changed by their readers; Linux 5.16 or newer is needed");
    }
    if (code == 0 && (pwrite(fd, "x", 1, 0) != -1 || ftruncate(fd, 0) != -1))
        code =
            error_set(-ENOTSUP, "this kernel lets sealed memory be written or cut; Linux 5.16 or "
                                "newer is needed");
    region_unmap(&region);
    close(fd);
    return code;
}

static bool names_others(const struct access *access) {
    for (uint32_t i = 0; i < access->count; i++) {
        const struct access_rule *rule = &access->rule[i];
        const bool is_of_us = rule->id == 0 || rule->id == geteuid();
        if (rule->kind != ACCESS_NOBODY && !(rule->kind == ACCESS_USER && is_of_us))
            return true;
    }
    return false;
}

/* What lets somebody in besides root and our own user; false: nothing does. */
static bool find_named(const struct server_params *server, char out_by[128]) {
    const struct settings *settings = &server->settings;
    for (unsigned i = 0; i < server->allowed_uids; i++) {
        snprintf(out_by, 128, "--allow-uid %u", (unsigned)server->allowed_uid[i]);
        if (server->allowed_uid[i] != 0 && server->allowed_uid[i] != geteuid())
            return true;
    }
    const struct {
        const char *key;
        const struct access *access;
    } keys[] = {
        {"trust", &settings->trust}, {"write", &settings->write}, {"allow", &settings->allow}};
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        snprintf(out_by, 128, "%s", keys[i].key);
        if (names_others(keys[i].access))
            return true;
    }
    for (size_t i = 0; i < settings->streams; i++) {
        snprintf(out_by, 128, "allow of stream %s", settings->stream[i].name);
        if (names_others(&settings->stream[i].allow))
            return true;
    }
    return false;
}

/* Our own socket can be reached by the user we run as and by root alone, whoever else may speak to
 * us. */
static void check_reach(const struct server_params *server) {
    char by[128];
    if (server->settings.reach == REACH_OWN && find_named(server, by))
        log_trouble("event=user-out-of-reach by=%s reason=\"only its owner and root can reach a "
                    "socket made here: let others by --reach, or have a service manager pass one "
                    "(sd_listen_fds(3))\"",
                    log_quote(by).text);
}

/* One that is passed is somebody else's to judge, and its mistakes are told later. */
static bool makes_socket(void) {
    struct upgrade_kept kept;
    return sd_listen_fds(0) == 0 && !upgrade_take(&kept);
}

/* Every mistake in it is told, and then nothing is started. */
static void load_plan(struct server_params *server) {
    struct config_problems problems;
    if (!server->config)
        return;
    const int code = plan_load(server->config, &server->plan, &problems);
    config_problems_print(&problems, server->config, stderr);
    if (code == -ENOMEM)
        fail(EXIT_FAILED, "no memory for the pipeline file");
    if (code < 0)
        exit(EXIT_USAGE);
    config_problems_destroy(&problems);
}

/* Likewise. */
static void load_settings(struct server_params *server) {
    static char path[4096];
    struct config_problems problems;
    const int code = settings_read(&server->source, &server->settings, path, &problems);
    config_problems_print(&problems, path, stderr);
    if (code < 0 && problems.count == 0)
        fail(EXIT_FAILED, shmframe_last_error());
    if (code < 0)
        exit(EXIT_USAGE);
    server->settings_path = path;
    config_problems_destroy(&problems);
}

/* Otherwise a socket would get one of these numbers, and what is logged would go there. */
static void open_standard_fds(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(EXIT_FAILED);
}

int main(int argc, char **argv) {
    struct options options = {.server = {.ready_fd = -1}};
    open_standard_fds();
    upgrade_remember(argc, argv);
    parse_options(&options, argc, argv);
    check_ready_fd(&options);
    if (!options.server.socket) {
        if (channel_default_path(options.default_socket, sizeof(options.default_socket)) < 0)
            fail(EXIT_FAILED, shmframe_last_error());
        options.server.socket = options.default_socket;
    }
    load_settings(&options.server);
    load_plan(&options.server);
    protect_process(options.is_traceable);
    if (check_kernel() < 0)
        fail(EXIT_FAILED, shmframe_last_error());
    if (makes_socket())
        check_reach(&options.server);
    if (options.is_check) {
        const struct listener_reach reach = {options.server.settings.reach,
                                             options.server.settings.reach_gid};
        if (makes_socket() && listener_check(options.server.socket, &reach) < 0)
            fail(EXIT_FAILED, shmframe_last_error());
        upgrade_print_version();
        plan_release(options.server.plan);
        return EXIT_DONE;
    }
    if (server_run(&options.server) < 0)
        fail(EXIT_FAILED, shmframe_last_error());
    return EXIT_DONE;
}
