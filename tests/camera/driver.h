/* Driver: a camera of the test's own, whose driver lies, hangs and floods as the test tells it.
 *
 * driver.c is preloaded into the real program, and answers for DRIVER_PATH there; the script lies
 * in a file that both have mapped, named by SHMFRAME_TEST_DRIVER.
 */
#ifndef TESTS_CAMERA_DRIVER_H
#define TESTS_CAMERA_DRIVER_H

#include <stdatomic.h>
#include <stdint.h>

/* Looked at before it is opened: it must be there, as a device. */
#define DRIVER_PATH "/dev/full"

enum { DRIVER_PACKET_BYTES = 1 << 19 };

struct driver_script {
    /* What it offers. */
    _Atomic uint32_t fourcc, width, height;
    _Atomic uint32_t field;   /* enum v4l2_field */
    _Atomic uint32_t refuses; /* slots */
    char card[32];
    /* What it sends. */
    _Atomic uint32_t is_flooding; /* a picture is always there */
    _Atomic uint32_t is_silent;
    _Atomic uint32_t short_bytes; /* that are missing */
    _Atomic uint32_t extra_bytes; /* that it tells and has not */
    _Atomic uint32_t repeats;     /* gives out the same buffer again and again */
    _Atomic uint32_t packet_bytes;
    uint8_t packet[DRIVER_PACKET_BYTES]; /* of a picture that is compressed */
    /* How it fails: errnos, 0: not. */
    _Atomic uint32_t is_gone;
    _Atomic uint32_t take_error;
    _Atomic uint32_t give_error, give_errors; /* so many times */
    _Atomic uint32_t list_error;              /* of formats */
    _Atomic uint32_t timings_error;           /* of setting them: 0: it has none */
    /* What it saw. */
    _Atomic uint32_t starts, presses, pictures;
};

#endif
