/* bench-crowd: what readers and streams cost, one after the other: the supervisor's descriptors and
 * mappings, the time to join, a publication against the number of links. */
#include "program.h"
#include "report.h"
#include "supervisor.h"

#include <shmframe/shmframe.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { READERS_MAX = 128, STREAMS_MAX = 64, ROUNDS = 300 };
/* They take links that the writer has brought; for each of those who follow another one is made. */
enum { FIRST_READERS = 2 };
#define OPEN_NS INT64_C(20000000000)

static uint32_t readers = 32, streams = 64, frames = 1000;
static const struct option_spec options[] = {
    {.name = "readers",
     .kind = OPTION_COUNT,
     .out = &readers,
     .argument = "COUNT",
     .help = "of one stream, 1 to 128; default 32"},
    {.name = "streams",
     .kind = OPTION_COUNT,
     .out = &streams,
     .argument = "COUNT",
     .help = "1 to 64, the default"},
    {.name = "frames",
     .kind = OPTION_COUNT,
     .out = &frames,
     .argument = "COUNT",
     .help = "of which a publication is averaged; default 1000"},
    {0},
};
static const struct program program = {
    .name = "bench-crowd",
    .purpose =
        "What each reader of a stream, and each stream, costs the supervisor and the writer.",
    .options = options,
};

static struct shmframe_writer *writer[STREAMS_MAX];
static struct shmframe_reader *reader[READERS_MAX];

/* ---- the supervisor's ---- */

struct cost {
    int64_t descriptors, mapped_kib;
};

static int64_t count_descriptors(void) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)supervisor_pid());
    DIR *folder = opendir(path);
    if (!folder)
        program_fail("%s: %m", path);
    int64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* What it sees of its peers: whole pages, whoever shares them and whatever of them is used so far.
 */
static int64_t count_mapped_kib(void) {
    char path[64], line[512];
    int64_t bytes = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)supervisor_pid());
    FILE *file = fopen(path, "re");
    if (!file)
        program_fail("%s: %m", path);
    while (fgets(line, sizeof(line), file)) {
        uint64_t begin, end;
        if (strstr(line, " /memfd:") && sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) == 2)
            bytes += (int64_t)(end - begin);
    }
    fclose(file);
    return bytes / 1024;
}

static struct cost look(void) {
    return (struct cost){.descriptors = count_descriptors(), .mapped_kib = count_mapped_kib()};
}

static json_t *pack_cost(struct cost before, struct cost after, uint32_t count) {
    if (count == 0)
        return json_null();
    return json_pack("{s:f, s:f}", "descriptors",
                     (double)(after.descriptors - before.descriptors) / count, "mapped_kib",
                     (double)(after.mapped_kib - before.mapped_kib) / count);
}

/* ---- streams and readers ---- */

static int64_t open_writer(struct shmframe_session *session, uint32_t number) {
    char name[SHMFRAME_NAME_BYTES];
    snprintf(name, sizeof(name), "crowd-%u", number);
    struct shmframe_writer_params params = {.stream = name,
                                            .deadline_ns = shmframe_deadline_ns(OPEN_NS)};
    const int64_t begin_ns = shmframe_now_ns();
    if (shmframe_format_data(&params.format, "bench", 64) < 0 ||
        shmframe_writer_open(session, &params, &writer[number]) < 0)
        program_fail_call("writer");
    return shmframe_now_ns() - begin_ns;
}

static int64_t open_reader(struct shmframe_session *session, uint32_t number) {
    const struct shmframe_reader_params params = {.stream = "crowd-0",
                                                  .policy = SHMFRAME_LATEST,
                                                  .deadline_ns = shmframe_deadline_ns(OPEN_NS)};
    /* What the supervisor has asked this writer for is not the joining one's to wait for. */
    shmframe_session_dispatch(session);
    const int64_t begin_ns = shmframe_now_ns();
    if (shmframe_reader_open(session, &params, &reader[number]) < 0)
        program_fail_call("reader");
    return shmframe_now_ns() - begin_ns;
}

/* The quickest of many rounds, each of them shorter than a turn at the processor: what else the
 * machine does makes it only slower. */
static double measure_publication(void) {
    int64_t least_ns = INT64_MAX;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const int64_t begin_ns = shmframe_now_ns();
        for (uint32_t i = 0; i < frames; i++) {
            struct shmframe_loan loan;
            if (shmframe_writer_loan(writer[0], SHMFRAME_NOW, &loan) < 0 ||
                shmframe_writer_publish(writer[0], &loan) < 0)
                program_fail_call("publish");
        }
        const int64_t spent_ns = shmframe_now_ns() - begin_ns;
        if (spent_ns < least_ns)
            least_ns = spent_ns;
    }
    return (double)least_ns / frames;
}

static bool is_power_of_two(uint32_t count) {
    return (count & (count - 1)) == 0;
}

/* `*out_first`: what there is with the first readers. */
static json_t *measure_readers(struct shmframe_session *session, struct cost *out_first) {
    json_t *steps = json_array();
    for (uint32_t count = 1; count <= readers; count++) {
        const int64_t join_ns = open_reader(session, count - 1);
        if (is_power_of_two(count) || count == readers)
            json_array_append_new(steps, json_pack("{s:i, s:f, s:f}", "readers", (int)count,
                                                   "join_us", (double)join_ns / 1e3, "publish_ns",
                                                   measure_publication()));
        if (count == FIRST_READERS)
            *out_first = look();
    }
    return steps;
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    if (readers < 1 || readers > READERS_MAX || streams < 1 || streams > STREAMS_MAX || frames < 1)
        program_fail_usage("readers are 1 to %d, streams 1 to %d, frames at least 1", READERS_MAX,
                           STREAMS_MAX);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    supervisor_start();
    struct shmframe_session *session;
    if (shmframe_session_open(NULL, &session) < 0)
        program_fail_call("session");
    open_writer(session, 0);
    const double alone_ns = measure_publication();
    struct cost first_readers = {0};
    json_t *steps = measure_readers(session, &first_readers);
    const struct cost with_readers = look();
    int64_t last_open_ns = 0;
    for (uint32_t i = 1; i < streams; i++)
        last_open_ns = open_writer(session, i);
    json_t *each_stream = pack_cost(with_readers, look(), streams - 1);
    json_t *each_reader = pack_cost(first_readers, with_readers,
                                    readers > FIRST_READERS ? readers - FIRST_READERS : 0);
    report_print_json(json_pack("{s:f, s:o, s:o, s:o, s:f}", "publish_alone_ns", alone_ns, "steps",
                                steps, "each_reader", each_reader, "each_stream", each_stream,
                                "last_stream_open_us", (double)last_open_ns / 1e3));
    return EXIT_DONE;
}
