/* Loaded in front of PortAudio: a sound card that another program has, that has one rate only, or
 * whose buffer runs over, which no test machine has and which PulseAudio never is. $REFUSE names a
 * file that says which: "busy", the rate that is refused, or "overflow": now and then a read loses
 * samples before those that it gives, and says so; one that ends a block of 1000 if there is any.
 * Everything else is PortAudio's own. */
#include <dlfcn.h>
#include <portaudio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOST_SAMPLES = 3000, READS_MIN = 50, READS_MAX = 100, BLOCK = 1000, SAMPLE_BYTES = 4 };
static int channels; /* of the stream; none has planes */

static void read_word(char word[16]) {
    const char *path = getenv("REFUSE");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file || fscanf(file, "%15s", word) != 1)
        word[0] = 0;
    if (file)
        fclose(file);
}

static PaError judge(double rate) {
    char word[16];
    read_word(word);
    if (strcmp(word, "busy") == 0)
        return paDeviceUnavailable;
    return rate == atof(word) ? paInvalidSampleRate : paNoError;
}

PaError Pa_OpenStream(PaStream **stream, const PaStreamParameters *input,
                      const PaStreamParameters *output, double rate, unsigned long frames,
                      PaStreamFlags flags, PaStreamCallback *call_back, void *user) {
    typedef PaError opener(PaStream **, const PaStreamParameters *, const PaStreamParameters *,
                           double, unsigned long, PaStreamFlags, PaStreamCallback *, void *);
    const PaError error = judge(rate);
    if (error != paNoError)
        return error;
    if (input)
        channels = input->channelCount;
    return ((opener *)dlsym(RTLD_NEXT, "Pa_OpenStream"))(stream, input, output, rate, frames, flags,
                                                         call_back, user);
}

PaError Pa_IsFormatSupported(const PaStreamParameters *input, const PaStreamParameters *output,
                             double rate) {
    typedef PaError asker(const PaStreamParameters *, const PaStreamParameters *, double);
    const PaError error = judge(rate);
    if (error != paNoError)
        return error;
    return ((asker *)dlsym(RTLD_NEXT, "Pa_IsFormatSupported"))(input, output, rate);
}

PaError Pa_ReadStream(PaStream *stream, void *buffer, unsigned long frames) {
    typedef PaError reader(PaStream *, void *, unsigned long);
    reader *const read_stream = (reader *)dlsym(RTLD_NEXT, "Pa_ReadStream");
    static int reads;
    static unsigned long before;
    const bool is_end = before + frames == BLOCK;
    before = frames;
    char word[16];
    read_word(word);
    if (strcmp(word, "overflow") != 0 || ++reads < (is_end ? READS_MIN : READS_MAX))
        return read_stream(stream, buffer, frames);
    reads = 0;
    void *lost = malloc((size_t)LOST_SAMPLES * SAMPLE_BYTES * (size_t)channels);
    if (!lost)
        return paInsufficientMemory;
    PaError error = read_stream(stream, lost, LOST_SAMPLES);
    free(lost);
    if (error == paNoError)
        error = read_stream(stream, buffer, frames);
    return error == paNoError ? paInputOverflowed : error;
}
