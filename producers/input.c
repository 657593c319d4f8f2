#include "input.h"

#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* So much of an input FFmpeg reads, at most, to know its tracks. */
#define ANALYZE_NS (7 * SECOND_NS)

/* FFmpeg's own words, for what its error codes do not tell ("moov atom not found"). */

static struct {
    pthread_mutex_t mutex;
    char text[160];
} last_words = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void keep_words(void *who, int level, const char *format, va_list arguments) {
    (void)who;
    if (level > AV_LOG_ERROR)
        return;
    pthread_mutex_lock(&last_words.mutex);
    vsnprintf(last_words.text, sizeof(last_words.text), format, arguments);
    last_words.text[strcspn(last_words.text, "\r\n")] = 0;
    pthread_mutex_unlock(&last_words.mutex);
}

static void take_words(char text[static sizeof(last_words.text)]) {
    pthread_mutex_lock(&last_words.mutex);
    memcpy(text, last_words.text, sizeof(last_words.text));
    last_words.text[0] = 0;
    pthread_mutex_unlock(&last_words.mutex);
}

/* What is wrong. */

/* What the user can do about it. */
static const char *find_remedy(int av_result, const char *words) {
    if (strstr(words, "resolve hostname"))
        return "check the name of the host, and the network";
    switch (av_result) {
    case AVERROR(ENOENT):
        return "check the path";
    case AVERROR(EACCES):
        return "let this user read it";
    case AVERROR(EISDIR):
        return "name a file in it";
    case AVERROR(ECONNREFUSED):
        return "nobody serves at that address: check host and port, and that the server runs";
    case AVERROR_HTTP_NOT_FOUND:
        return "check the path in the URL";
    case AVERROR_HTTP_UNAUTHORIZED:
    case AVERROR_HTTP_FORBIDDEN:
        return "name and password go into the URL: //NAME:PASSWORD@HOST";
    case AVERROR_PROTOCOL_NOT_FOUND:
        return "see `ffmpeg -protocols`; a file with a colon in its name needs ./ before it";
    case AVERROR_INVALIDDATA:
    case AVERROR_EOF:
        return "is it a media file? ffprobe tells more";
    default:
        return "ffprobe tells more";
    }
}

static bool is_vague(int av_result) {
    return av_result == AVERROR_INVALIDDATA || av_result == AVERROR(EIO) ||
           av_result == AVERROR(EINVAL) || av_result == AVERROR_UNKNOWN;
}

static int fail(struct input *input, const char *what, int av_result) {
    char text[AV_ERROR_MAX_STRING_SIZE], words[sizeof(last_words.text)];
    take_words(words);
    if (program_is_stopping() || input_is_stopping(input))
        return -EINTR;
    av_make_error_string(text, sizeof(text), av_result);
    if (atomic_load_explicit(&input->is_overdue, memory_order_relaxed))
        snprintf(input->why, sizeof(input->why),
                 "cannot %s %s: no answer within %.3g s; --timeout says how long to wait", what,
                 input->url, (double)input->timeout_ns / SECOND_NS);
    else if (is_vague(av_result) && words[0])
        snprintf(input->why, sizeof(input->why), "cannot %s %s: %s (%s); %s", what, input->url,
                 text, words, find_remedy(av_result, words));
    else
        snprintf(input->why, sizeof(input->why), "cannot %s %s: %s; %s", what, input->url, text,
                 find_remedy(av_result, words));
    return -EIO;
}

void input_explain(struct input *input, int av_result) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (atomic_load_explicit(&input->is_overdue, memory_order_relaxed))
        snprintf(input->why, sizeof(input->why), "nothing came for %.3g s",
                 (double)input->timeout_ns / SECOND_NS);
    else if (av_result == AVERROR_EOF || av_result == AVERROR_EXIT)
        snprintf(input->why, sizeof(input->why), "it ended");
    else
        snprintf(input->why, sizeof(input->why), "%s",
                 av_make_error_string(text, sizeof(text), av_result));
}

/* Options. */

static const AVInputFormat *find_format(const struct input *input) {
    return input->format ? av_find_input_format(input->format) : NULL;
}

void input_check(const struct input *input) {
    if (input->format && !find_format(input))
        program_fail_usage("--input-format: this FFmpeg has no format \"%s\"; `ffmpeg -demuxers` "
                           "lists them",
                           input->format);
    for (uint32_t i = 0; i < input->settings.count; i++) {
        const char *text = input->settings.text[i], *sign = strchr(text, '=');
        if (!sign || sign == text)
            program_fail_usage("--input-option: \"%s\" should be KEY=VALUE", text);
    }
}

static bool ends_with(const char *text, const char *ending) {
    const size_t length = strlen(text), ending_length = strlen(ending);
    return length >= ending_length && !strcmp(text + length - ending_length, ending);
}

/* Pictures by a pattern of the shell: nothing has that very name, and it is no URL. */
static bool is_glob(const struct input *input) {
    return !input->format && strpbrk(input->url, "*?[") && !strstr(input->url, "://") &&
           access(input->url, F_OK) != 0;
}

static AVDictionary *collect_settings(const struct input *input) {
    AVDictionary *settings = NULL;
    char rate[32];
    /* A description of a session leads to where it is sent: FFmpeg lets a file lead to files only.
     */
    if (ends_with(input->url, ".sdp") || (input->format && !strcmp(input->format, "sdp")))
        av_dict_set(&settings, "protocol_whitelist",
                    "file,pipe,crypto,data,http,https,tcp,tls,rtp,srtp,udp", 0);
    if (is_glob(input))
        av_dict_set(&settings, "pattern_type", "glob", 0);
    if (input->rate.num) {
        snprintf(rate, sizeof(rate), "%d/%d", input->rate.num, input->rate.den);
        av_dict_set(&settings, "framerate", rate, 0);
    }
    for (uint32_t i = 0; i < input->settings.count; i++)
        av_dict_parse_string(&settings, input->settings.text[i], "=", "", 0);
    return settings;
}

/* A setting that nothing has taken is a mistake. */
static int check_settings(struct input *input, const AVDictionary *left) {
    const AVDictionaryEntry *entry = av_dict_get(left, "", NULL, AV_DICT_IGNORE_SUFFIX);
    if (!entry)
        return 0;
    if (input->rate.num && !strcmp(entry->key, "framerate"))
        snprintf(input->why, sizeof(input->why), "--input-rate: %s has a rate of its own (%s)",
                 input->url, input->context->iformat->name);
    else
        snprintf(input->why, sizeof(input->why),
                 "--input-option: nothing in %s takes \"%s\"; `ffmpeg -h demuxer=%s` lists what "
                 "there is",
                 input->url, entry->key, input->context->iformat->name);
    return -EIO;
}

/* Opening. */

static int is_interrupted(void *user) {
    struct input *input = user;
    if (program_is_stopping() || input_is_stopping(input))
        return 1;
    if (shmframe_now_ns() < atomic_load_explicit(&input->deadline_ns, memory_order_relaxed))
        return 0;
    atomic_store_explicit(&input->is_overdue, true, memory_order_relaxed);
    return 1;
}

/* What waits for nothing but a disk. Some files only say where else to look. */
static bool is_plain_file(const struct input *input) {
    static const char *const lists[] = {"hls", "dash", "concat", "sdp"};
    const AVFormatContext *context = input->context;
    const char *protocol = avio_find_protocol_name(input->url);
    if (!context || !context->pb || !protocol || strcmp(protocol, "file") != 0)
        return false;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (!strncmp(context->iformat->name, lists[i], strlen(lists[i])))
            return false;
    return true;
}

static void expect_within(struct input *input, int64_t extra_ns) {
    const int64_t deadline_ns = input->timeout_ns && !input->pipe.io && !is_plain_file(input)
                                    ? shmframe_deadline_ns(input->timeout_ns + extra_ns)
                                    : INT64_MAX;
    atomic_store_explicit(&input->deadline_ns, deadline_ns, memory_order_relaxed);
}

void input_expect(struct input *input) {
    expect_within(input, 0);
}

void input_expect_anew(struct input *input) {
    atomic_store_explicit(&input->is_overdue, false, memory_order_relaxed);
    input_expect(input);
}

/* What the given URL stands for. Standard input that is a file is one. */
static const char *find_url(const struct input *input) {
    struct stat found;
    const bool is_file =
        !strcmp(input->url, "-") && fstat(STDIN_FILENO, &found) == 0 && S_ISREG(found.st_mode);
    return is_file ? "/dev/stdin" : input->url;
}

/* Standard input that nobody feeds, a pattern that nothing fits. Returns 0 or -EIO. */
static int check_url(struct input *input, const char *url) {
    glob_t found = {0};
    if (!strcmp(url, "-") && isatty(STDIN_FILENO))
        snprintf(input->why, sizeof(input->why),
                 "standard input is a terminal: put a pipe or a file there");
    else if (is_glob(input) && glob(url, 0, NULL, &found) != 0)
        snprintf(input->why, sizeof(input->why), "no file fits %s; check the path", url);
    globfree(&found);
    return input->why[0] ? -EIO : 0;
}

static int open_context(struct input *input) {
    const AVIOInterruptCB interrupt = {is_interrupted, input};
    const char *url = find_url(input);
    if (check_url(input, url) < 0)
        return -EIO;
    int result = pipe_is_meant(url) ? pipe_open(&input->pipe, url, interrupt) : 0;
    input_expect(input);
    input->context = result < 0 ? NULL : avformat_alloc_context();
    if (!input->context)
        return fail(input, "open", result < 0 ? result : AVERROR(ENOMEM));
    input->context->interrupt_callback = interrupt;
    input->context->pb = input->pipe.io;
    AVDictionary *settings = collect_settings(input);
    const AVInputFormat *format = is_glob(input) ? av_find_input_format("image2") : NULL;
    result =
        avformat_open_input(&input->context, url, format ? format : find_format(input), &settings);
    result = result < 0 ? fail(input, "open", result) : check_settings(input, settings);
    av_dict_free(&settings);
    return result;
}

/* Whether its bytes come from this machine's files and pipes. */
static bool is_local(const struct input *input) {
    static const char *const local[] = {"file",    "pipe", "concat", "concatf",
                                        "subfile", "fd",   "crypto", "data"};
    const char *protocol = input->pipe.io ? "pipe" : avio_find_protocol_name(input->url);
    for (size_t i = 0; protocol && i < sizeof(local) / sizeof(local[0]); i++)
        if (!strcmp(protocol, local[i]))
            return true;
    return false;
}

/* Whether it is on its way already: from the network, without an end or positions. */
static bool is_endless(const struct input *input) {
    const AVFormatContext *context = input->context;
    const char *format = context->iformat->name;
    if (context->duration > 0)
        return false;
    if (!strcmp(format, "sdp") || !strcmp(format, "rtsp"))
        return true;
    if (is_local(input))
        return false;
    return (context->ctx_flags & AVFMTCTX_UNSEEKABLE) || !context->pb ||
           (!(context->pb->seekable & AVIO_SEEKABLE_NORMAL) && avio_size(context->pb) <= 0);
}

int input_open(struct input *input) {
    char words[sizeof(last_words.text)];
    av_log_set_callback(keep_words);
    avformat_network_init();
    take_words(words);
    atomic_store_explicit(&input->is_overdue, false, memory_order_relaxed);
    input->why[0] = 0;
    int result = open_context(input);
    if (result < 0)
        return result;
    expect_within(input, ANALYZE_NS);
    result = avformat_find_stream_info(input->context, NULL);
    if (result < 0 || atomic_load_explicit(&input->is_overdue, memory_order_relaxed) ||
        program_is_stopping() || input_is_stopping(input))
        return fail(input, "read", result);
    input->is_live = input->is_asked_live || (!input->is_never_live && is_endless(input));
    input_expect(input);
    return 0;
}

void input_close(struct input *input) {
    if (input->is_left)
        return;
    avformat_close_input(&input->context);
    pipe_detach(&input->pipe);
    atomic_store_explicit(&input->is_stopping, false, memory_order_relaxed);
}

void input_finish(struct input *input) {
    input_close(input);
    if (!input->is_left)
        pipe_close(&input->pipe);
}

void input_stop(struct input *input) {
    atomic_store_explicit(&input->is_stopping, true, memory_order_relaxed);
}

bool input_comes_again(const struct input *input) {
    return input->pipe.io ? input->pipe.is_ours : is_endless(input);
}

bool input_has_ended(const struct input *input, int av_result) {
    const AVFormatContext *context = input->context;
    const char *protocol = avio_find_protocol_name(input->url);
    return av_result == AVERROR(EIO) && context->pb && protocol && !strncmp(protocol, "http", 4) &&
           avio_feof(context->pb) && avio_size(context->pb) <= 0;
}

bool input_can_seek(const struct input *input) {
    const AVFormatContext *context = input->context;
    return !input->is_live && !(context->ctx_flags & AVFMTCTX_UNSEEKABLE) &&
           (!context->pb || (context->pb->seekable & AVIO_SEEKABLE_NORMAL));
}
