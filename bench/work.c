#include "work.h"

#include "picture_measures.h"
#include "program.h"

#include <SDL.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>

struct work {
    enum work_kind kind;
    /* One of them. */
    struct {
        SDL_Surface *surface;
        SDL_Renderer *renderer;
        SDL_Texture *texture;
    } view;
    struct {
        AVCodecContext *context;
        AVPacket *packet;
    } encode;
    struct picture_measures *measures;
    struct shmframe_histogram ages;
};

static void begin_view(struct work *work, int width, int height) {
    work->view.surface =
        SDL_CreateRGBSurfaceWithFormat(0, width, height, 32, SDL_PIXELFORMAT_ARGB8888);
    if (work->view.surface)
        work->view.renderer = SDL_CreateSoftwareRenderer(work->view.surface);
    if (work->view.renderer)
        work->view.texture = SDL_CreateTexture(work->view.renderer, SDL_PIXELFORMAT_IYUV,
                                               SDL_TEXTUREACCESS_STREAMING, width, height);
    if (!work->view.texture)
        program_fail("SDL's software renderer: %s", SDL_GetError());
}

static void begin_encode(struct work *work, int width, int height) {
    AVCodecContext *context = avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_RAWVIDEO));
    work->encode.packet = av_packet_alloc();
    if (!context || !work->encode.packet)
        program_fail("no memory for an encoder");
    context->width = width;
    context->height = height;
    context->pix_fmt = AV_PIX_FMT_YUV420P;
    context->time_base = (AVRational){1, 1000000000};
    if (avcodec_open2(context, NULL, NULL) < 0)
        program_fail("libavcodec has no rawvideo");
    work->encode.context = context;
}

static void begin_analyze(struct work *work, const struct shmframe_format *format) {
    struct picture_settings settings = picture_settings_default;
    settings.measures = PICTURE_LEVELS | PICTURE_BLACK | PICTURE_CHANGES;
    settings.pairing.stream[0] = "bench";
    settings.pairing.stream[1] = NULL;
    if (picture_measures_create(&settings, &work->measures) < 0 ||
        picture_measures_set_format(work->measures, PAIRING_MAIN, format) < 0)
        program_fail("the measures of pictures do not begin");
}

struct work *work_create(enum work_kind kind, const struct shmframe_format *format) {
    struct work *work = calloc(1, sizeof(*work));
    if (!work)
        program_fail("no memory");
    const int width = (int)format->video.width, height = (int)format->video.height;
    work->kind = kind;
    switch (kind) {
    case WORK_VIEW:
        begin_view(work, width, height);
        break;
    case WORK_ENCODE:
        begin_encode(work, width, height);
        break;
    case WORK_ANALYZE:
        begin_analyze(work, format);
        break;
    case WORK_LATENCY:
    case WORK_KINDS:
        break;
    }
    return work;
}

void work_destroy(struct work *work) {
    if (work->view.texture)
        SDL_DestroyTexture(work->view.texture);
    if (work->view.renderer)
        SDL_DestroyRenderer(work->view.renderer);
    SDL_FreeSurface(work->view.surface);
    avcodec_free_context(&work->encode.context);
    av_packet_free(&work->encode.packet);
    if (work->measures)
        picture_measures_destroy(work->measures);
    free(work);
}

static void view(struct work *work, const AVFrame *frame) {
    if (SDL_UpdateYUVTexture(work->view.texture, NULL, frame->data[0], frame->linesize[0],
                             frame->data[1], frame->linesize[1], frame->data[2],
                             frame->linesize[2]) < 0 ||
        SDL_RenderCopy(work->view.renderer, work->view.texture, NULL, NULL) < 0)
        program_fail("SDL's software renderer: %s", SDL_GetError());
    SDL_RenderPresent(work->view.renderer);
}

static void encode(struct work *work, const AVFrame *frame) {
    if (avcodec_send_frame(work->encode.context, frame) < 0 ||
        avcodec_receive_packet(work->encode.context, work->encode.packet) < 0)
        program_fail("rawvideo cannot be encoded");
    av_packet_unref(work->encode.packet);
}

static void analyze(struct work *work, const AVFrame *frame, const struct shmframe_frame *stamps) {
    if (picture_measures_add(work->measures, PAIRING_MAIN, frame, stamps) < 0)
        program_fail("a picture cannot be measured");
    for (json_t *event; (event = picture_measures_next_event(work->measures));)
        json_decref(event);
}

void work_do(struct work *work, const AVFrame *frame, const struct shmframe_frame *stamps) {
    switch (work->kind) {
    case WORK_VIEW:
        view(work, frame);
        break;
    case WORK_ENCODE:
        encode(work, frame);
        break;
    case WORK_ANALYZE:
        analyze(work, frame, stamps);
        break;
    case WORK_LATENCY:
        shmframe_histogram_add(&work->ages, shmframe_now_ns() - stamps->capture_ns);
        break;
    case WORK_KINDS:
        break;
    }
}
