/* Rig: what each test in the guest is built of: a supervisor, the program, a reader, the device. */
#ifndef TESTS_VM_RIG_H
#define TESTS_VM_RIG_H

#include <check.h>
#include <shmframe/shmframe.h>
#include <sys/types.h>

#define SECOND_NS INT64_C(1000000000)

/* The cameras that tests/vm/init makes. */
#define CAMERA_SINGLE   "/dev/video0"
#define CAMERA_MULTIPLE "/dev/video1"
#define CAMERA_OWN      "/dev/video2" /* takes no memory but its own */

/* Checked fixtures: a supervisor and a session. */
void rig_set_up(void);
void rig_tear_down(void);

/* Starts the program; its words go where rig_said() finds them. */
pid_t rig_start(const char *const *arguments);
#define START(...) rig_start((const char *const[]){__VA_ARGS__, NULL})

/* The exit code; -1: a signal. */
int rig_wait(pid_t pid);
/* Runs it to its end. */
#define RUN(...) rig_wait(START(__VA_ARGS__))
const char *rig_said(void);
void rig_expect_said(const char *part);
/* Waits until it has said so. */
void rig_await_said(const char *part);
/* Asks it to end, and checks that it ends well. */
void rig_stop(pid_t pid);

struct shmframe_reader *rig_open_reader(uint32_t depth);
struct shmframe_lease rig_acquire(struct shmframe_reader *reader);
void rig_release(struct shmframe_reader *reader, struct shmframe_lease *lease);
/* Passes over frames until one is a discontinuity. */
struct shmframe_lease rig_acquire_discontinuity(struct shmframe_reader *reader);

struct shmframe_answer rig_ask(const char *verb, const char *argument);

/* Sets a control from outside the program. */
void rig_set_control(const char *path, const char *name, const char *value);

/* Unplugs all cameras, and plugs them in again. */
void rig_unplug(void);
void rig_plug_in(void);

#endif
