#include "intake.h"

#include <errno.h>
#include <poll.h>

/* Beyond that nothing is read: what comes then is lost where it waits. */
#define BYTES_MAX ((size_t)256 << 20)
/* What a packet costs besides its bytes: itself, its buffer, what the heap adds. */
#define PACKET_BYTES ((size_t)512)

struct arrived {
    AVPacket *packet;
    int64_t arrival_ns;
};

/* Returns a failure, if there will be no more. */
static int put(struct intake *intake, int result, AVPacket *packet) {
    const struct arrived arrived = {packet, shmframe_now_ns()};
    pthread_mutex_lock(&intake->mutex);
    if (result >= 0 && av_fifo_write(intake->packets, &arrived, 1) < 0)
        result = AVERROR(ENOMEM);
    if (result >= 0)
        intake->bytes += (size_t)packet->size + PACKET_BYTES;
    else
        intake->result = result;
    pthread_cond_signal(&intake->change);
    while (intake->bytes > BYTES_MAX && !input_is_stopping(intake->input))
        pthread_cond_wait(&intake->change, &intake->mutex);
    pthread_mutex_unlock(&intake->mutex);
    if (result < 0)
        av_packet_free(&packet);
    return result;
}

static void *run(void *user) {
    struct intake *intake = user;
    int result = 0;
    while (result >= 0) {
        AVPacket *packet = av_packet_alloc();
        input_expect(intake->input);
        do
            result = packet ? av_read_frame(intake->input->context, packet) : AVERROR(ENOMEM);
        while (result == AVERROR(EAGAIN) && !input_is_stopping(intake->input) &&
               poll(NULL, 0, 5) == 0);
        result = put(intake, input_has_ended(intake->input, result) ? AVERROR_EOF : result, packet);
    }
    return NULL;
}

int intake_start(struct intake *intake, struct input *input) {
    *intake = (struct intake){.input = input};
    intake->packets = av_fifo_alloc2(64, sizeof(struct arrived), AV_FIFO_FLAG_AUTO_GROW);
    if (!intake->packets)
        return -ENOMEM;
    av_fifo_auto_grow_limit(intake->packets, SIZE_MAX / sizeof(struct arrived));
    pthread_mutex_init(&intake->mutex, NULL);
    pthread_cond_init(&intake->change, NULL);
    const int result = pthread_create(&intake->thread, NULL, run, intake);
    intake->is_running = result == 0;
    return -result;
}

void intake_stop(struct intake *intake) {
    struct arrived arrived;
    if (!intake->packets)
        return;
    pthread_mutex_lock(&intake->mutex);
    pthread_cond_broadcast(&intake->change);
    pthread_mutex_unlock(&intake->mutex);
    if (intake->is_running)
        pthread_join(intake->thread, NULL);
    while (av_fifo_read(intake->packets, &arrived, 1) >= 0)
        av_packet_free(&arrived.packet);
    av_fifo_freep2(&intake->packets);
    pthread_cond_destroy(&intake->change);
    pthread_mutex_destroy(&intake->mutex);
    intake->is_running = false;
}

int intake_read(struct intake *intake, AVPacket *packet, int64_t *out_arrival_ns) {
    struct arrived arrived = {0};
    pthread_mutex_lock(&intake->mutex);
    while (av_fifo_read(intake->packets, &arrived, 1) < 0 && !intake->result)
        pthread_cond_wait(&intake->change, &intake->mutex);
    const int result = intake->result;
    if (arrived.packet)
        intake->bytes -= (size_t)arrived.packet->size + PACKET_BYTES;
    pthread_cond_signal(&intake->change);
    pthread_mutex_unlock(&intake->mutex);
    if (!arrived.packet)
        return result;
    av_packet_move_ref(packet, arrived.packet);
    av_packet_free(&arrived.packet);
    *out_arrival_ns = arrived.arrival_ns;
    return 0;
}
