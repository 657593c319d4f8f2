#include "recorder_report.h"

#include "consumer.h"

#include <inttypes.h>
#include <stdio.h>

static double seconds(int64_t ns) {
    return (double)ns / 1e9;
}

static double sound_seconds(const struct track *track, uint64_t samples) {
    const uint32_t rate_hz = track->sound_stamps.params.to_rate_hz;
    return rate_hz ? (double)samples / rate_hz : 0;
}

/* Of the device's clock against the clock of all, in millionths. */
static double drift_ppm(const struct track *track) {
    return track->sound_stamps.drift * 1e6;
}

static const char *name_codec(const struct track *track) {
    return track->choice->is_pcm ? "pcm" : track->choice->codec->name;
}

static const struct source *source_of(const struct recorder *recorder, uint32_t index) {
    return &recorder->params.sources->source[index];
}

struct amount {
    char text[32];
};

/* As people read it: "124 kB", "1.5 MB". */
static struct amount describe_bytes(uint64_t bytes) {
    struct amount amount;
    if (bytes < 1000000)
        snprintf(amount.text, sizeof(amount.text), "%.0f kB", (double)bytes / 1e3);
    else
        snprintf(amount.text, sizeof(amount.text), "%.1f MB", (double)bytes / 1e6);
    return amount;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void set_count(json_t *object, const char *name, uint64_t count) {
    json_object_set_new(object, name, json_integer((json_int_t)count));
}

static void add_counters(json_t *object, const struct shmframe_reader_counters *counters) {
    set_count(object, "delivered", counters->delivered);
    set_count(object, "lost_late", counters->lost_late);
    set_count(object, "lost_restart", counters->lost_restart);
    set_count(object, "skipped", counters->skipped);
    set_count(object, "device_dropped", counters->device_dropped);
}

static void add_kind(json_t *object, const struct track *track) {
    if (track->format.kind == SHMFRAME_VIDEO) {
        set_count(object, "raw_in_place", track->counters.raw_in_place);
        set_count(object, "moved_stamps", track->picture_stamps.moved);
        return;
    }
    const struct sound_stamps *sound = &track->sound_stamps;
    set_count(object, "gaps", sound->gaps);
    set_count(object, "moved_stamps", sound->shifts);
    json_object_set_new(object, "silence_s", json_real(sound_seconds(track, sound->silence)));
    json_object_set_new(object, "cut_s", json_real(sound_seconds(track, sound->cut)));
    json_object_set_new(object, "drift_ppm", json_real(drift_ppm(track)));
    json_object_set_new(object, "drift",
                        json_string(track->drift == SOUND_STRETCH ? "stretch" : "keep"));
    json_object_set_new(object, "skew_ns", json_integer(sound_stamps_skew_ns(sound)));
}

static json_t *make_track(const struct recorder *recorder, uint32_t index) {
    const struct track *track = &recorder->track[index];
    const struct source *source = source_of(recorder, index);
    const struct shmframe_reader_counters counters = source_counters(source);
    char format[128];
    shmframe_format_describe(&track->format, format, sizeof(format));
    json_t *object = json_object();
    json_object_set_new(object, "stream", json_string(track->stream));
    json_object_set_new(object, "format", json_string(format));
    json_object_set_new(object, "codec", json_string(name_codec(track)));
    json_object_set_new(object, "policy", json_string(consumer_policy_name(source->params.policy)));
    add_counters(object, &counters);
    set_count(object, "encoded", track->counters.encoded);
    set_count(object, "early", track->counters.early);
    set_count(object, "false_times", track->capture_times.not_believed);
    set_count(object, "left_out", track->counters.skipped);
    set_count(object, "in_place", track->lent.in_place);
    set_count(object, "copied", track->lent.copied);
    set_count(object, "held_max", track->lent.held_max);
    set_count(object, "converted", track->counters.converted);
    json_object_set_new(object, "converted_why", json_string(track->why));
    add_kind(object, track);
    return object;
}

json_t *recorder_report_json(const struct recorder *recorder, const char *target,
                             const char *ended_by) {
    struct recording_state state;
    recording_state(recorder->params.recording, &state);
    json_t *object = json_object();
    json_t *streams = json_array();
    for (uint32_t i = 0; i < recorder->tracks; i++)
        json_array_append_new(streams, make_track(recorder, recorder->order[i]));
    json_object_set_new(object, "target", json_string(target));
    json_object_set_new(object, "path", json_string(state.path));
    json_object_set_new(object, "time", json_string(recorder->is_exact_time ? "pts" : "capture"));
    json_object_set_new(object, "seconds", json_real(seconds(recorder_length_ns(recorder))));
    set_count(object, "bytes", state.bytes);
    set_count(object, "files", state.segments);
    set_count(object, "saves", state.saves);
    if (state.is_replay) {
        json_object_set_new(object, "kept_s", json_real(seconds(state.kept_ns)));
        set_count(object, "kept_bytes", state.kept_bytes);
    }
    set_count(object, "packets", state.packets);
    set_count(object, "packets_dropped", state.dropped);
    set_count(object, "packets_late", state.late);
    set_count(object, "reconnects", state.reconnects);
    set_count(object, "format_changes", recorder->changes);
    set_count(object, "time_jumps", recorder->stamps.jumps);
    json_object_set_new(object, "streams", streams);
    if (ended_by)
        json_object_set_new(object, "ended_by", json_string(ended_by));
    return object;
}

/* --- Words ------------------------------------------------------------------------------------ */

static void print_sound(const struct track *track) {
    const struct sound_stamps *sound = &track->sound_stamps;
    if (sound->gaps || sound->cut)
        printf("  %" PRIu64 " gaps, %.3f s of silence in them, %.3f s cut\n", sound->gaps,
               sound_seconds(track, sound->silence), sound_seconds(track, sound->cut));
    if (track->drift == SOUND_STRETCH || sound->shifts)
        printf("  clock %+.1f ppm, %s\n", 0 - drift_ppm(track),
               track->drift == SOUND_STRETCH ? "stretched to stay beside the picture"
                                             : "stamps moved to stay beside the picture");
}

static void print_track(const struct recorder *recorder, uint32_t index) {
    const struct track *track = &recorder->track[index];
    const struct shmframe_reader_counters counters = source_counters(source_of(recorder, index));
    const uint64_t lost = counters.lost_late + counters.lost_restart;
    char format[128];
    shmframe_format_describe(&track->format, format, sizeof(format));
    printf("%s: %s, %s\n", track->stream, format, name_codec(track));
    printf("  %" PRIu64 " delivered, %" PRIu64 " lost (late %" PRIu64 ", restart %" PRIu64
           "), %" PRIu64 " by the device\n",
           counters.delivered, lost, counters.lost_late, counters.lost_restart,
           counters.device_dropped);
    if (counters.skipped || track->counters.early || track->counters.skipped)
        printf("  %" PRIu64 " skipped by policy, %" PRIu64 " before the beginning, %" PRIu64
               " in pauses or after the end\n",
               counters.skipped, track->counters.early, track->counters.skipped);
    if (track->capture_times.not_believed && !recorder->is_exact_time)
        printf("  %" PRIu64 " with a capture time that cannot be\n",
               track->capture_times.not_believed);
    printf("  %" PRIu64 " in place, %" PRIu64 " copied%s\n", track->lent.in_place,
           track->lent.copied, track->lent.copied ? " (more were kept than --leases allows)" : "");
    if (track->counters.converted)
        printf("  %" PRIu64 " converted: %s\n", track->counters.converted, track->why);
    if (track->format.kind == SHMFRAME_AUDIO)
        print_sound(track);
    else if (track->picture_stamps.moved)
        printf("  %" PRIu64 " whose time was not after the one before\n",
               track->picture_stamps.moved);
}

void recorder_report_print(const struct recorder *recorder, const char *target) {
    struct recording_state state;
    recording_state(recorder->params.recording, &state);
    if (state.is_replay)
        printf("kept for %s: the last %.3f s, %" PRIu64 " bytes; saved %" PRIu32 " times, %" PRIu64
               " bytes\n",
               target, seconds(state.kept_ns), state.kept_bytes, state.saves, state.bytes);
    else if (state.segments == 0)
        printf("%s: nothing was written\n", target);
    else
        printf("%s: %.3f s, %" PRIu64 " bytes, %" PRIu32 " file%s\n", target,
               seconds(recorder_length_ns(recorder)), state.bytes, state.segments,
               state.segments == 1 ? "" : "s");
    if (state.dropped || state.late)
        printf("%" PRIu64 " packets dropped, %" PRIu64 " too late\n", state.dropped, state.late);
    if (state.reconnects)
        printf("connected again %" PRIu32 " times\n", state.reconnects);
    for (uint32_t i = 0; i < recorder->tracks; i++)
        print_track(recorder, recorder->order[i]);
    report_flush();
}

void recorder_report_line(const struct recorder *recorder, char line[RECORDER_LINE_BYTES]) {
    struct recording_state state;
    recording_state(recorder->params.recording, &state);
    const int64_t length_ns = recorder_length_ns(recorder);
    const double length = seconds(length_ns);
    const double passed = seconds(shmframe_now_ns() - recorder->first_ns);
    const int64_t whole = length_ns / 1000000000;
    const uint64_t bytes = state.bytes > state.given_bytes ? state.bytes : state.given_bytes;
    char amount[96];
    if (state.is_replay)
        snprintf(amount, sizeof(amount), "%.1f s, %s kept, saved %" PRIu32 " times",
                 seconds(state.kept_ns), describe_bytes(state.kept_bytes).text, state.saves);
    else
        snprintf(amount, sizeof(amount), "%s, %.0f kbit/s", describe_bytes(bytes).text,
                 length > 0 ? (double)bytes * 8 / 1e3 / length : 0);
    snprintf(line, RECORDER_LINE_BYTES,
             "%02" PRId64 ":%02" PRId64 ":%02" PRId64 ", %s, speed %.2f, %" PRIu64 " lost%s",
             whole / 3600, whole / 60 % 60, whole % 60, amount, passed > 0 ? length / passed : 0,
             recorder_lost(recorder) + state.dropped, recorder->is_paused ? ", paused" : "");
}
