#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <shmframe/avframe.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS = 32 };

char rig_folder[64] = "/tmp/shmframe-test-XXXXXX";
char rig_socket_path[96], rig_clip_path[128];
struct shmframe_session *rig_session;
struct rig_seen rig_seen;
static char said_path[96];
static pid_t supervisor;

/* --- Programs --------------------------------------------------------------------------------- */

pid_t rig_start(const char *name, const char *program, const char *const *arguments) {
    char path[128], *argv[ARGUMENTS] = {(char *)(uintptr_t)program};
    snprintf(path, sizeof(path), "%s/%s", rig_folder, name);
    for (int i = 0; arguments[i]; i++) {
        ck_assert_int_lt(i + 2, ARGUMENTS);
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    const pid_t test = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        if (getppid() == test)
            execvp(program, argv);
        _exit(127);
    }
    return pid;
}

static int wait_exit(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *rig_read_said(void) {
    static char text[8192];
    FILE *file = fopen(said_path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

void rig_wait_said(const char *part) {
    for (int i = 0; i < 2000 && !strstr(rig_read_said(), part); i++)
        poll(NULL, 0, 10);
    ck_assert_msg(strstr(rig_read_said(), part), "no \"%s\" in: %s", part, rig_read_said());
}

void rig_expect_exit(pid_t pid, int code) {
    const int found = wait_exit(pid);
    ck_assert_msg(found == code, "exit code %d: %s", found, rig_read_said());
}

void rig_expect_complaint(const char *part) {
    const char *text = rig_read_said();
    ck_assert_msg(strstr(text, part), "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "%s", text);
}

int64_t rig_read_figure(const char *name, const char *figure) {
    const char *text = rig_read_said();
    const char *json = strstr(text, "{\"seconds\"");
    ck_assert_msg(json, "%s", text);
    json_t *report = json_loads(json, JSON_DISABLE_EOF_CHECK, NULL);
    ck_assert_msg(report, "%s", text);
    int64_t value = -1;
    size_t i;
    json_t *stream;
    json_array_foreach(
        json_object_get(report, "streams"), i,
        stream) if (!strcmp(json_string_value(json_object_get(stream, "stream")), name)) value =
        json_integer_value(json_object_get(stream, figure));
    json_decref(report);
    ck_assert_msg(value >= 0, "%s of %s: %s", figure, name, text);
    return value;
}

void rig_set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(rig_folder));
    snprintf(rig_socket_path, sizeof(rig_socket_path), "%s/socket", rig_folder);
    snprintf(said_path, sizeof(said_path), "%s/said", rig_folder);
    setenv("SHMFRAME_SOCKET", rig_socket_path, 1);
    supervisor = rig_start("log", getenv("SHMFRAMED"),
                           (const char *const[]){"--socket", rig_socket_path, NULL});
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(10 * SECOND_NS)};
    ck_assert_msg(shmframe_session_open(&params, &rig_session) == 0, "%s", shmframe_last_error());
}

void rig_tear_down(void) {
    shmframe_session_close(rig_session);
    kill(supervisor, SIGTERM);
    wait_exit(supervisor);
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", rig_folder);
    ck_assert_int_eq(system(command), 0);
}

const char *rig_name_clip(const char *ending) {
    snprintf(rig_clip_path, sizeof(rig_clip_path), "%s/clip.%s", rig_folder, ending);
    return rig_clip_path;
}

/* --- What readers see ------------------------------------------------------------------------- */

struct shmframe_reader *rig_open_reader(const char *stream, enum shmframe_policy policy,
                                        uint32_t leases) {
    const struct shmframe_reader_params params = {
        .stream = stream,
        .policy = policy,
        .leases = leases,
        .depth = 8,
        .deadline_ns = shmframe_deadline_ns(20 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    const int result = shmframe_reader_open(rig_session, &params, &reader);
    ck_assert_msg(result == 0, "%s; %s", shmframe_last_error(), rig_read_said());
    return reader;
}

static void look_at(struct shmframe_lease *lease) {
    const struct shmframe_format format = *lease->format;
    const bool is_picture = format.kind == SHMFRAME_VIDEO;
    struct rig_frame *frame =
        is_picture ? &rig_seen.picture[rig_seen.pictures++] : &rig_seen.block[rig_seen.blocks++];
    ck_assert_int_lt(rig_seen.pictures, RIG_FRAMES);
    ck_assert_int_lt(rig_seen.blocks, RIG_FRAMES);
    ck_assert_int_le(lease->frame.capture_ns, lease->frame.publish_ns);
    *frame = (struct rig_frame){
        .pts = lease->frame.pts,
        .duration = lease->frame.duration,
        .capture_ns = lease->frame.capture_ns,
        .publish_ns = lease->frame.publish_ns,
        .pts_ns =
            av_rescale_q(lease->frame.pts, (AVRational){format.time_base.num, format.time_base.den},
                         (AVRational){1, SECOND_NS}),
        .flags = lease->frame.flags,
        .samples = lease->frame.samples,
    };
    rig_seen.lost += lease->lost;
    AVFrame *bridged;
    ck_assert_int_eq(shmframe_avframe_from_lease(lease, &bridged), 0);
    if (is_picture) {
        rig_seen.picture_format = format;
        frame->sum = clip_sum_picture(bridged);
        frame->width = bridged->width;
        frame->height = bridged->height;
    } else {
        rig_seen.sound_format = format;
        clip_add_sound(&rig_seen.sound, bridged);
    }
    av_frame_free(&bridged);
}

bool rig_drain(struct shmframe_reader *reader) {
    for (;;) {
        struct shmframe_lease lease;
        const int result = shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease);
        if (result == -EAGAIN)
            return false;
        if (result == -ENODATA)
            return true;
        ck_assert_msg(result == 0, "%s", strerror(-result));
        look_at(&lease);
    }
}

void rig_watch(struct shmframe_reader *pictures, struct shmframe_reader *sound, int count) {
    memset(&rig_seen, 0, sizeof(rig_seen));
    struct shmframe_reader *readers[2];
    uint32_t left = 0;
    if (pictures)
        readers[left++] = pictures;
    if (sound)
        readers[left++] = sound;
    while (left && (!count || rig_seen.pictures < count)) {
        uint64_t ready;
        const int result =
            shmframe_readers_wait(readers, left, shmframe_deadline_ns(20 * SECOND_NS), &ready);
        ck_assert_msg(result > 0, "%s after %d pictures, %d blocks: %s", strerror(-result),
                      rig_seen.pictures, rig_seen.blocks, rig_read_said());
        for (uint32_t i = left; i-- > 0;)
            if ((ready & (UINT64_C(1) << i)) && rig_drain(readers[i]))
                readers[i] = readers[--left];
    }
}

void rig_watch_all(pid_t pid, bool has_pictures, bool has_sound, int exit_code) {
    struct shmframe_reader *sound =
        has_sound ? rig_open_reader("media.sound", SHMFRAME_LOSSLESS, 1) : NULL;
    struct shmframe_reader *pictures =
        has_pictures ? rig_open_reader("media", SHMFRAME_LOSSLESS, 1) : NULL;
    rig_watch(pictures, sound, 0);
    shmframe_reader_close(pictures);
    shmframe_reader_close(sound);
    rig_expect_exit(pid, exit_code);
    ck_assert_uint_eq(rig_seen.lost, 0);
}

void rig_expect_truth(const struct clip_truth *truth) {
    ck_assert_int_eq(rig_seen.pictures, truth->pictures);
    for (int i = 0; i < rig_seen.pictures; i++) {
        ck_assert_msg(rig_seen.picture[i].sum == truth->picture[i].sum, "picture %d of %d differs",
                      i, rig_seen.pictures);
        ck_assert_int_eq(rig_seen.picture[i].pts, truth->picture[i].pts);
        ck_assert_int_eq(rig_seen.picture[i].width, truth->picture[i].width);
    }
    ck_assert_uint_eq(rig_seen.sound.samples, truth->sound.samples);
    ck_assert(clip_is_same_sound(&rig_seen.sound, &truth->sound));
}

void rig_make_both(int seconds) {
    clip_make(&(struct clip){
        .path = rig_name_clip("mkv"),
        .picture = "mpeg4",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 25 * seconds,
        .b_frames = 1,
        .sound = "pcm_s16le",
        .sample_format = AV_SAMPLE_FMT_S16,
        .sample_rate = 48000,
        .channels = 2,
        .samples = 48000 * seconds,
    });
}

void rig_ask(const char *verb, const char *argument, int status) {
    struct shmframe_answer answer;
    const int result = shmframe_session_request(rig_session, "media", verb, argument,
                                                shmframe_deadline_ns(10 * SECOND_NS), &answer);
    ck_assert_msg(result == 0, "%s", shmframe_last_error());
    ck_assert_msg(answer.status == status, "%s: %s", verb, answer.text);
}

int rig_run(const char *name, void (*add)(TCase *tests)) {
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_set_timeout(tests, 60);
    add(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
