#include "sizing.h"

static int64_t at_least(int64_t value, int64_t least) {
    return value > least ? value : least;
}

/* Frames published from one that was taken `late_ns` after its publication until it is released. */
static int64_t count_published(const struct sizing_reader *reader, int64_t period_ns) {
    return (reader->late_ns + reader->longest_ns) / period_ns;
}

static struct sizing_verdict judge_latest(const struct sizing_reader *reader, int64_t period_ns) {
    const int64_t published = count_published(reader, period_ns);
    return (struct sizing_verdict){
        .is_deep_enough = true,
        .depth_needed = 1,
        .missed = (uint64_t)at_least(published - reader->leases, 0),
        .covered_ns = INT64_MAX,
        .age_ns = at_least(period_ns, reader->late_ns),
    };
}

static struct sizing_verdict judge_in_order(const struct sizing_reader *reader, int64_t period_ns) {
    const int64_t behind = count_published(reader, period_ns) - reader->leases + 1;
    const int64_t needed = at_least(behind, 1);
    const int64_t depth = at_least(reader->depth, reader->kept);
    const int64_t waited_ns = reader->late_ns + reader->longest_ns - reader->leases * period_ns;
    /* What is older than the depth is gone, unless the writer waits. */
    const int64_t oldest_ns = reader->policy == SHMFRAME_LOSSLESS ? INT64_MAX : depth * period_ns;
    const int64_t age_ns = at_least(waited_ns, reader->late_ns);
    return (struct sizing_verdict){
        .is_deep_enough = depth >= needed,
        .depth_needed = (uint32_t)(needed < UINT32_MAX ? needed : UINT32_MAX),
        .missed = (uint64_t)(depth < needed ? needed - depth : 0),
        .covered_ns = at_least((reader->leases + depth) * period_ns - reader->late_ns, 0),
        .age_ns = age_ns < oldest_ns ? age_ns : oldest_ns,
    };
}

struct sizing_verdict sizing_judge(const struct sizing_reader *reader, int64_t period_ns) {
    struct sizing_verdict verdict = reader->policy == SHMFRAME_LATEST
                                        ? judge_latest(reader, period_ns)
                                        : judge_in_order(reader, period_ns);
    verdict.keeps_up = reader->usual_ns <= reader->leases * period_ns;
    return verdict;
}

struct sizing_demand sizing_add_up(const struct sizing_reader *readers, unsigned count,
                                   int64_t period_ns, bool is_as_needed) {
    struct sizing_demand demand = {0};
    for (unsigned i = 0; i < count; i++) {
        uint32_t depth = readers[i].policy == SHMFRAME_LATEST ? 0 : readers[i].depth;
        if (is_as_needed && readers[i].policy != SHMFRAME_LATEST) {
            const uint32_t needed = sizing_judge(&readers[i], period_ns).depth_needed;
            depth = needed > depth ? needed : depth;
        }
        demand.depth = depth > demand.depth ? depth : demand.depth;
        /* Of those of a lossless reader the newest lies in the history. */
        demand.leases +=
            readers[i].count * (readers[i].leases - (readers[i].policy == SHMFRAME_LOSSLESS));
    }
    return demand;
}
