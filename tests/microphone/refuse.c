/* Loaded in front of PortAudio: a sound card that another program has, or that has one rate only,
 * which no test machine has and which PulseAudio never is. $REFUSE names a file that says which:
 * "busy", or the rate that is refused. Everything else is PortAudio's own. */
#include <dlfcn.h>
#include <portaudio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PaError judge(double rate) {
    const char *path = getenv("REFUSE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char word[16] = "";
    if (!file)
        return paNoError;
    if (fscanf(file, "%15s", word) != 1)
        word[0] = 0;
    fclose(file);
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
