/* GStreamer: appsrc ! shmsink in the writer, shmsrc ! appsink in each reader. Payloads are written
 * where the sink's own allocator puts them, in its shared memory, through a pool that waits while
 * all are in use, and read there: nothing is copied and nothing is lost. Each element's thread
 * hands over to the next: a message wakes the writer's stream, the reader's stream, the reader.
 */
#include "gstreamer.h"
#include "program.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct gstreamer_writer {
    const struct gstreamer *gstreamer;
    GstElement *pipeline, *source, *sink;
    GstBufferPool *pool;
    GstBuffer *buffer; /* the one that is lent */
    GstMapInfo map;
};

struct place {
    GstSample *sample;
    GstMapInfo map;
};

struct gstreamer_reader {
    const struct gstreamer *gstreamer;
    GstElement *pipeline, *sink;
    struct place *place; /* as many as may be held */
    uint32_t next;
};

static size_t find_buffer_bytes(const struct road_plan *plan) {
    return GSTREAMER_HEAD_BYTES + plan->bytes;
}

static GstElement *start_pipeline(const char *description) {
    GError *error = NULL;
    gst_init(NULL, NULL);
    GstElement *pipeline = gst_parse_launch(description, &error);
    if (error)
        program_fail("GStreamer: %s", error->message);
    if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
        program_fail("GStreamer: \"%s\" does not start; GST_DEBUG=3 tells why", description);
    return pipeline;
}

static GstElement *find_element(GstElement *pipeline, const char *name) {
    return gst_bin_get_by_name(GST_BIN(pipeline), name);
}

/* ---- the writer ---- */

/* In the memory of the sink, where it need not copy them to. */
static GstBufferPool *make_pool(GstElement *sink, const struct gstreamer *gstreamer) {
    GstAllocator *allocator = NULL;
    GstAllocationParams params;
    GstQuery *query = gst_query_new_allocation(NULL, FALSE);
    GstPad *pad = gst_element_get_static_pad(sink, "sink");
    if (!gst_pad_query(pad, query) || gst_query_get_n_allocation_params(query) == 0)
        program_fail("GStreamer: shmsink offers no memory");
    gst_query_parse_nth_allocation_param(query, 0, &allocator, &params);
    gst_object_unref(pad);
    gst_query_unref(query);
    params.align = GSTREAMER_HEAD_BYTES - 1;
    GstBufferPool *pool = gst_buffer_pool_new();
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(
        config, NULL, (guint)find_buffer_bytes(gstreamer->library.plan), 0, gstreamer->buffers);
    gst_buffer_pool_config_set_allocator(config, allocator, &params);
    gst_object_unref(allocator);
    if (!gst_buffer_pool_set_config(pool, config) || !gst_buffer_pool_set_active(pool, TRUE))
        program_fail("GStreamer: no pool of buffers");
    return pool;
}

static void await_readers(const struct gstreamer *gstreamer) {
    char byte;
    for (uint32_t i = 0; i < gstreamer->library.plan->readers; i++)
        if (write(gstreamer->started[1], "", 1) != 1)
            program_fail("a pipe is gone: %m");
    for (uint32_t i = 0; i < gstreamer->library.plan->readers; i++)
        if (read(gstreamer->arrived[0], &byte, 1) != 1)
            program_fail("a pipe is gone: %m");
}

static void *open_writer(void *prepared, struct road_count *count) {
    struct gstreamer *gstreamer = prepared;
    struct gstreamer_writer *writer = calloc(1, sizeof(*writer));
    char description[256];
    (void)count;
    if (!writer)
        program_fail("no memory for a writer");
    writer->gstreamer = gstreamer;
    gstreamer->writer_pid = getpid();
    snprintf(description, sizeof(description),
             "appsrc name=source max-bytes=0 ! shmsink name=sink socket-path=%s shm-size=%zu "
             "perms=384 sync=false async=false enable-last-sample=false",
             gstreamer->path, gstreamer->memory_bytes);
    writer->pipeline = start_pipeline(description);
    writer->source = find_element(writer->pipeline, "source");
    writer->sink = find_element(writer->pipeline, "sink");
    writer->pool = make_pool(writer->sink, gstreamer);
    await_readers(gstreamer);
    return writer;
}

static void close_writer(void *side) {
    struct gstreamer_writer *writer = side;
    gst_buffer_pool_set_active(writer->pool, FALSE);
    gst_object_unref(writer->pool);
    gst_element_set_state(writer->pipeline, GST_STATE_NULL);
    gst_object_unref(writer->source);
    gst_object_unref(writer->sink);
    gst_object_unref(writer->pipeline);
    free(writer);
}

static void lend(void *side, uint32_t count, uint8_t **out_data) {
    struct gstreamer_writer *writer = side;
    assert(count == 1);
    if (gst_buffer_pool_acquire_buffer(writer->pool, &writer->buffer, NULL) != GST_FLOW_OK ||
        !gst_buffer_map(writer->buffer, &writer->map, GST_MAP_WRITE))
        program_fail("GStreamer: no buffer");
    out_data[0] = writer->map.data + GSTREAMER_HEAD_BYTES;
}

static void send_one(void *side, const struct parcel *parcels, uint32_t count) {
    struct gstreamer_writer *writer = side;
    assert(count == 1);
    memcpy(writer->map.data, parcels, sizeof(*parcels));
    gst_buffer_unmap(writer->buffer, &writer->map);
    if (gst_app_src_push_buffer(GST_APP_SRC(writer->source), writer->buffer) != GST_FLOW_OK)
        program_fail("GStreamer: a buffer is refused");
}

/* ---- a reader ---- */

/* Nothing tells of it but the property. */
static void await_memory(GstElement *pipeline) {
    const struct timespec a_while = {.tv_nsec = 1000000};
    GstElement *source = find_element(pipeline, "source");
    char *name = NULL;
    while (g_object_get(source, "shm-area-name", &name, NULL), !name)
        nanosleep(&a_while, NULL);
    g_free(name);
    gst_object_unref(source);
}

static void *open_reader(void *prepared, uint32_t number, struct road_count *count) {
    struct gstreamer_reader *reader = calloc(1, sizeof(*reader));
    const struct gstreamer *gstreamer = prepared;
    char description[192], byte;
    (void)number, (void)count;
    if (!reader || !(reader->place = calloc(gstreamer->library.plan->held, sizeof(*reader->place))))
        program_fail("no memory for a reader");
    reader->gstreamer = gstreamer;
    snprintf(
        description, sizeof(description),
        "shmsrc name=source socket-path=%s is-live=true ! appsink name=sink sync=false async=false "
        "enable-last-sample=false",
        gstreamer->path);
    if (read(gstreamer->started[0], &byte, 1) != 1)
        program_fail("the writer is gone: %m");
    reader->pipeline = start_pipeline(description);
    reader->sink = find_element(reader->pipeline, "sink");
    await_memory(reader->pipeline);
    if (write(gstreamer->arrived[1], "", 1) != 1)
        program_fail("a pipe is gone: %m");
    return reader;
}

static void close_reader(void *side) {
    struct gstreamer_reader *reader = side;
    gst_element_set_state(reader->pipeline, GST_STATE_NULL);
    gst_object_unref(reader->sink);
    gst_object_unref(reader->pipeline);
    free(reader->place);
    free(reader);
}

static uint32_t receive(void *side, uint32_t count, struct message *out_messages) {
    struct gstreamer_reader *reader = side;
    const struct road_plan *plan = reader->gstreamer->library.plan;
    struct place *place = &reader->place[reader->next++ % plan->held];
    assert(count > 0);
    place->sample = gst_app_sink_pull_sample(GST_APP_SINK(reader->sink));
    if (!place->sample ||
        !gst_buffer_map(gst_sample_get_buffer(place->sample), &place->map, GST_MAP_READ) ||
        place->map.size != find_buffer_bytes(plan))
        program_fail("GStreamer: the writer is gone, or a buffer is of another size");
    memcpy(&out_messages->parcel, place->map.data, sizeof(out_messages->parcel));
    out_messages->data = place->map.data + GSTREAMER_HEAD_BYTES;
    out_messages->handle = place;
    return 1;
}

static void release(void *side, const struct message *messages, uint32_t count) {
    (void)side;
    for (uint32_t i = 0; i < count; i++) {
        struct place *place = messages[i].handle;
        gst_buffer_unmap(gst_sample_get_buffer(place->sample), &place->map);
        gst_sample_unref(place->sample);
    }
}

const struct road library_sides = {
    .writer_open = open_writer,
    .lend = lend,
    .send = send_one,
    .writer_close = close_writer,
    .reader_open = open_reader,
    .receive = receive,
    .release = release,
    .reader_close = close_reader,
};
