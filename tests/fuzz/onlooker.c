#include "onlooker.h"

#include "clock.h"
#include "ledger.h"
#include "record.h"

enum { RECORD_WORDS = RECORD_BYTES / 8 };

void onlooker_see_ring(const struct ring *ring) {
    static struct ledger_incident incidents[RING_INCIDENTS];
    struct ledger_counters counters;
    ledger_get_counters(ring, &counters);
    (void)ledger_blocked_since(&counters, clock_peek_ns());
    fuzz_must(ledger_get_incidents(ring, 0, incidents) <= RING_INCIDENTS,
              "more incidents than there is room for");
}

void onlooker_see_record(struct input *input) {
    static _Alignas(64) uint64_t page[RECORD_WORDS];
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    static struct shmframe_overrun overruns[SHMFRAME_OVERRUNS];
    struct shmframe_histogram histogram;
    struct shmframe_reader_counters counters;
    struct shmframe_reader_state state;
    memset(page, 0, sizeof(page));
    for (unsigned words = input_u8(input); words > 0 && input->left; words--) {
        const size_t place = input_u8(input) | (size_t)input_u8(input) << 8;
        page[place % RECORD_WORDS] = input_number(input);
    }
    const struct record_page *record = (const struct record_page *)(const void *)page;
    const uint32_t count = input_u8(input) * 16u;
    (void)record_check(record);
    record_get_counters(record, &counters);
    record_get_state(record, &state);
    fuzz_must(state.held <= SHMFRAME_LEASES_MAX && state.doing <= SHMFRAME_DOING_POLLING,
              "a reader does what none can");
    for (int hop = 0; hop < SHMFRAME_HOPS; hop++)
        fuzz_must(record_get_histogram(record, (enum shmframe_hop)hop, &histogram) == 0,
                  "a histogram is not told");
    const uint32_t most = count < SHMFRAME_FLIGHTS ? count : SHMFRAME_FLIGHTS;
    fuzz_must(record_get_flights(record, flights, most) <= (int)most, "too many flights");
    fuzz_must(record_get_overruns(record, overruns, SHMFRAME_OVERRUNS) <= SHMFRAME_OVERRUNS,
              "too many overruns");
}
