"""The supervisor's upgrade: the process goes on with another file, or as it was if that is no good."""

import json
import os
import signal
import subprocess
import unittest

import manager


def end(pidfd):
    """Kills the process, if it has not ended."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.close(pidfd)


class Upgrade(unittest.TestCase):
    def setUp(self):
        self.manager = manager.Manager()
        self.addCleanup(self.manager.close)
        self.program = os.path.join(self.manager.folder, "shmframed")
        os.symlink(manager.SHMFRAMED, self.program)

    def replace(self, target):
        """What an installation does: the name is another file's from one moment to the next."""
        os.symlink(target, self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def write_script(self, name, text):
        path = os.path.join(self.manager.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
        return path

    def replace_by_script(self, text):
        self.replace(self.write_script("script", text))

    def start(self, *options):
        self.pid = self.manager.start(*options, program=self.program).pid
        self.writer = self.manager.pattern()
        self.await_writer()

    def await_writer(self):
        def is_there():
            stream = self.manager.ls().get("demo")
            return stream and stream["writer_pid"] == self.writer.pid
        manager.wait_for(is_there, "the writer")

    def upgrade(self):
        self.manager.messages = []
        status, output = self.manager.command("upgrade")
        return status, output

    def told_of_supervisors(self):
        done = subprocess.run([manager.SHMFRAME, "events", "--format", "json"], check=True,
                              env=self.manager.env, capture_output=True, text=True,
                              timeout=manager.DEADLINE_S)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return [event["text"] for event in events if event["type"] == "supervisor"]

    def expect_refusal(self, *texts):
        status, output = self.upgrade()
        self.assertEqual(status, 1, output)
        for text in texts:
            self.assertIn(text, output)
        # As before, and with the same sessions.
        self.assertIsNone(self.manager.service.poll())
        self.assertEqual(self.manager.ls()["demo"]["writer_pid"], self.writer.pid)
        self.manager.take()
        self.assertFalse([m for m in self.manager.messages if "READY" in m])

    def test_goes_on_as_the_file_that_has_its_name_now(self):
        self.start()
        copy = os.path.join(self.manager.folder, "another")
        with open(manager.SHMFRAMED, "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        os.chmod(copy, 0o755)
        for target in (copy, manager.SHMFRAMED, copy):
            self.replace(target)
            self.assertEqual(self.upgrade(), (0, ""))
            self.manager.await_message("READY", "1")
            self.assertEqual(os.readlink(f"/proc/{self.pid}/exe"), target)
            self.await_writer()
            self.assertEqual(self.manager.ls()["demo"]["generation"], 1)
        self.assertEqual(self.told_of_supervisors(), ["started"] + 3 * ["was upgraded"])
        with open(f"/proc/{self.pid}/environ", "rb") as file:
            self.assertEqual(file.read().count(b"SHMFRAMED_KEPT="), 1)

    def filters(self):
        """How many call filters it has beyond our own; None: the kernel does not tell."""
        count = []
        for pid in (self.pid, "self"):
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                lines = [line.split() for line in file if line.startswith("Seccomp_filters:")]
            if not lines:
                return None
            count.append(int(lines[0][1]))
        return count[0] - count[1]

    def test_goes_on_with_the_calls_that_it_has_left(self):
        """Neither a new version nor a reload is hindered by the call filter, and there is one."""
        settings = os.path.join(self.manager.folder, "shmframed.conf")
        with open(settings, "w", encoding="utf-8") as file:
            file.write("[limits]\nreaders = 7\n")
        os.chmod(settings, 0o644)
        self.start("--settings", settings)
        expected = int(os.environ["HAS_SECCOMP"])
        for _ in range(2):
            self.assertIn(self.filters(), (expected, None))
            self.assertEqual(self.upgrade(), (0, ""))
            self.manager.await_message("READY", "1")
            self.await_writer()
            with open(settings, "w", encoding="utf-8") as file:
                file.write("[access]\nwrite = group root, user nobody\n")
            self.assertEqual(self.manager.command("reload"), (0, ""))
            with open(settings, "w", encoding="utf-8") as file:
                file.write("[access]\nwrite = group no-such-group\n")
            status, output = self.manager.command("reload")
            self.assertEqual(status, 1)
            self.assertIn("no-such-group", output)
            with open(settings, "w", encoding="utf-8") as file:
                file.write("[limits]\nreaders = 8\n")
        self.assertIn(self.filters(), (expected, None))

    def test_keeps_its_folder_whatever_reach_is_by_then(self):
        """Names, nodes and the journal lie there; the next start of all is what asks for another."""
        settings = os.path.join(self.manager.folder, "shmframed.conf")
        def write(reach):
            with open(settings, "w", encoding="utf-8") as file:
                file.write(f"[access]\nreach = {reach}\n")
            os.chmod(settings, 0o644)
        write("own")
        self.start("--settings", settings)
        write("all")
        for _ in range(2):
            self.assertEqual(self.upgrade(), (0, ""))
            self.manager.await_message("READY", "1")
            self.await_writer()
        self.assertEqual(self.told_of_supervisors(), ["started"] + 2 * ["was upgraded"])
        self.writer.kill()
        self.writer.wait()
        self.writer = self.manager.pattern()
        self.await_writer()
        with open(self.manager.socket + ".names", encoding="utf-8") as names:
            self.assertIn("demo", names.read())
        self.assertNotIn("event=no-folder", self.manager.read_log())

    def test_tells_of_a_folder_that_is_not_fit(self):
        """A version that did not pass it on came before."""
        self.start()
        os.chmod(self.manager.folder, 0o755)
        self.replace_by_script(
            'case "$*" in *--check*) ;; *) export SHMFRAMED_KEPT="${SHMFRAMED_KEPT% * *}";; esac\n'
            f'exec {manager.SHMFRAMED} "$@"\n')
        self.assertEqual(self.upgrade(), (0, ""))
        self.manager.await_message("READY", "1")
        self.assertIn("event=no-folder", self.manager.read_log())

    def test_nobody_else_gets_the_place_meanwhile(self):
        self.start()
        self.assertEqual(self.upgrade(), (0, ""))
        self.manager.await_message("READY", "1")
        other = subprocess.run([manager.SHMFRAMED, "--socket", self.manager.socket],
                               env=self.manager.env, capture_output=True, text=True,
                               timeout=manager.DEADLINE_S, check=False)
        self.assertEqual(other.returncode, 1)
        self.assertIn(f"another supervisor (pid {self.pid})", other.stderr)
        # It still knows that the socket is its own to remove.
        self.manager.service.terminate()
        self.manager.service.wait(manager.DEADLINE_S)
        self.assertFalse(os.path.exists(self.manager.socket))

    def test_takes_its_readiness_for_told(self):
        ours, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        self.pid = self.manager.start("--ready-fd", str(theirs), program=self.program,
                                      pass_fds=[theirs]).pid
        os.close(theirs)
        self.assertEqual(os.read(ours, 10), b"\n")
        os.close(ours)
        self.assertEqual(self.upgrade(), (0, ""))
        self.manager.await_message("READY", "1")

    def test_ends_with_a_parent_that_dies_meanwhile(self):
        parent = self.write_script("parent", f'{self.program} --private "$@" &\nwait\n')
        self.manager.start(program=parent)
        with open(self.manager.socket + ".lock", encoding="ascii") as lock:
            pid = int(lock.read())
        self.addCleanup(end, os.pidfd_open(pid))
        self.replace_by_script(
            'case "$*" in *--check*) ;; *)\n'
            "parent=$PPID; kill -9 $parent\n"
            'while grep -q "^PPid:.$parent$" /proc/$$/status; do sleep 0.01; done;; esac\n'
            f'exec {manager.SHMFRAMED} "$@"\n')
        self.manager.spawn(manager.SHMFRAME, "upgrade")
        manager.wait_for(lambda: not os.path.exists(self.manager.socket), "the supervisor's end")
        self.assertIn("event=parent-gone", self.manager.read_log())

    def test_refuses_a_file_that_is_broken(self):
        self.start()
        self.replace_by_script("echo it is broken >&2\nexit 3\n")
        self.expect_refusal("it is broken", "its --check failed")

    def test_takes_what_is_too_much_to_pass_on(self):
        self.start()
        self.replace_by_script("head -c 300000 /dev/zero | tr '\\0' x\nexit 3\n")
        self.expect_refusal("its --check failed")

    @unittest.skipUnless(os.environ.get("LONG"), "a check may take 5 s: suite long")
    def test_refuses_a_file_that_closes_its_output_and_goes_on(self):
        self.start()
        self.replace_by_script("exec sleep 1000 >&- 2>&-\n")
        self.expect_refusal("did not end its --check in time")

    def test_refuses_a_file_that_is_not_there(self):
        self.start()
        self.replace("/no/such/file")
        self.expect_refusal("No such file")

    def test_refuses_another_layout(self):
        self.start()
        self.replace_by_script("echo shmframed 9.9 layout 99\n")
        self.expect_refusal("memory layout 99")

    def test_refuses_a_pipeline_file_with_mistakes(self):
        config = self.manager.write_config("[consumer one]\ncommand = sleep 1000\n")
        self.start("--config", config)
        self.manager.write_config("[consumer one]\ncomand = sleep 1000\n")
        self.expect_refusal(f"{config}:2:", "its --check failed")

    def test_goes_on_as_it_was_if_the_file_vanishes_in_between(self):
        self.start()
        checked = subprocess.run([manager.SHMFRAMED, "--socket", self.manager.socket, "--check"],
                                 capture_output=True, text=True, check=True,
                                 timeout=manager.DEADLINE_S)
        self.replace_by_script(f'rm "$0"\necho {checked.stdout}')
        done = subprocess.run([manager.SHMFRAME, "upgrade"], env=self.manager.env,
                              capture_output=True, text=True, timeout=manager.DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("was not upgraded", done.stderr)
        manager.wait_for(lambda: "event=upgrade-failed" in self.manager.read_log(), "the failure")
        dropped = [line for line in self.manager.read_log().splitlines()
                   if "event=client-disconnected" in line and f"pid={self.writer.pid}" in line]
        self.assertEqual(dropped, [])
        self.assertEqual(self.manager.ls()["demo"]["writer_pid"], self.writer.pid)


if __name__ == "__main__":
    unittest.main()
