"""shmframe top: driven in tmux, its screens compared with what happens; without a terminal."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

from supervised import SHMFRAME, Supervised

READER = r"-> #\d+ shmframe-latency"


class Top(Supervised):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start("shmframe-pattern", "--stream", "cam", "--no-sound", "--size", "64x64", "--rate",
                  "50")
        cls.await_true(lambda: cls.stream("cam"))
        cls.victim = cls.start("shmframe-latency", "cam", "--policy", "in-order", "--interval", "0")
        cls.await_true(lambda: len(cls.readers("cam")) == 1)
        cls.start("shmframe-latency", "cam", "--policy", "latest", "--interval", "0")
        cls.await_true(lambda: len(cls.readers("cam")) == 2)

    def setUp(self):
        self.terminal = os.path.join(self.folder, f"tmux.{self.id().rsplit('.', 1)[1][-20:]}")
        self.addCleanup(self.tmux, "kill-server")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.terminal, "-f", "/dev/null", *arguments],
                              env=self.env, text=True, capture_output=True, timeout=30,
                              check=False)

    def open(self, *arguments, size=(100, 30), before=""):
        """Starts top in a terminal of its own; a line tells when it has ended."""
        command = f"{before} {SHMFRAME} top --interval 0.2 {' '.join(arguments)}; " \
                  "echo ENDED $?; stty -a | grep -q -- ' echo ' && echo ECHOES; cat"
        done = self.tmux("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), command)
        self.assertEqual(done.returncode, 0, done.stderr)

    def screen(self):
        return self.tmux("capture-pane", "-p").stdout.splitlines()

    def await_screen(self, text):
        """The screen, once a line of it matches."""
        self.await_true(lambda: any(re.search(text, line) for line in self.screen()),
                        lambda: f"{text!r} in\n" + "\n".join(self.screen()))
        return self.screen()

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def select(self, start):
        """Moves down to the row; the selected one is reversed."""
        self.keys("Home")
        for _ in range(10):
            shown = self.tmux("capture-pane", "-p", "-e").stdout.splitlines()
            if any("\x1b[7m" in line or ";7m" in line for line in shown
                   if re.match(start, re.sub(r"\x1b\[[0-9;]*m", "", line).lstrip("!* "))):
                return
            self.keys("Down")
            self.await_true(lambda old=shown: self.tmux("capture-pane", "-p", "-e").stdout
                            .splitlines() != old)
        self.fail(f"{start} was never selected: {self.screen()}")

    def lose(self):
        """The reader loses frames; returns how many it has lost by now."""
        before = self.readers("cam")[0]["lost"]
        head = self.stream("cam")["head"]
        self.victim.send_signal(signal.SIGSTOP)
        self.await_true(lambda: self.stream("cam")["head"] > head + 15)
        self.victim.send_signal(signal.SIGCONT)
        self.await_true(lambda: self.readers("cam")[0]["lost"] > before)
        return self.readers("cam")[0]["lost"]

    def test_a_stream_stands_with_its_writer_and_its_readers(self):
        self.open()
        self.await_screen(READER)
        rows = [line.lstrip("!* ") for line in self.await_screen(r"publishing +(49|50|51)\.")]
        at = next(i for i, line in enumerate(rows) if line.startswith("cam"))
        self.assertIn(" live", rows[at])
        self.assertTrue(rows[at + 1].startswith("<- shmframe-pattern"), rows)
        for row, reader in zip(rows[at + 2:], self.readers("cam")):
            self.assertTrue(row.startswith(f"-> #{reader['number']} shmframe-latency"), rows)
        self.assertIn("1 stream, 2 readers, 0 nodes", rows[0])

    def test_who_is_stopped_is_shown_so_and_what_it_loses_is_counted(self):
        self.open()
        self.await_screen(READER)
        self.victim.send_signal(signal.SIGSTOP)
        self.await_screen(rf"^! {READER} +stopped")
        self.victim.send_signal(signal.SIGCONT)
        lost = self.lose()
        columns = self.await_screen(rf"^[!*] {READER} .* {lost} ")
        title = next(line for line in columns if "LOST" in line)
        row = next(line for line in columns if re.match(r"[!*] -> ", line))
        self.assertEqual(row[:title.index("LOST") + 4].split()[-1], str(lost))
        self.await_screen(r"cam: shmframe-latency .* lost \d+ frames")
        self.await_screen(rf"lost/min \d")

    def test_details_tell_of_hops_and_losses_and_back(self):
        lost = self.lose()
        self.open(size=(120, 40))
        self.await_screen(READER)
        self.select(READER)
        self.keys("Enter")
        screen = "\n".join(self.await_screen(r"reader \d+ of cam: shmframe-latency; in-order, depth 4"))
        for text in ("produce", "transit", "hold", f"lost {lost}", "woken late", " ago: "):
            self.assertIn(text, screen)
        self.assertIn("age since it was opened", screen)
        self.keys("g")
        self.await_screen("display since it was opened")
        self.keys("Escape")
        self.await_screen("NAME +STATE")

    def test_sorting_turns_readers_round(self):
        self.lose()
        self.open("--sort", "lost", size=(150, 30))
        first = next(line for line in self.await_screen(rf"{READER} .* \d+ ")
                     if "->" in line)
        self.assertRegex(first, r"^[!*]")
        self.keys("r")
        self.await_true(lambda: next((line for line in self.screen() if "->" in line), "*")[0] == " ")
        self.keys("s")
        self.await_screen(r"sort \(age\)")

    def test_a_filter_leaves_out_the_others(self):
        self.open()
        self.await_screen(READER)
        self.keys("f")
        self.await_screen("only names with: _")
        self.keys("n", "o", "n", "e")
        self.await_screen("nothing is called like that")
        self.keys("Escape")
        self.await_screen(READER)

    def test_eviction_is_asked_for_and_then_done(self):
        third = self.start("shmframe-latency", "cam", "--policy", "in-order", "--depth", "7",
                           "--interval", "0", stderr=subprocess.DEVNULL)
        self.await_true(lambda: len(self.readers("cam")) == 3)
        self.open("--sort", "name", size=(150, 30))
        self.await_screen(READER)
        self.keys("End", "e")
        number = max(reader["number"] for reader in self.readers("cam"))
        self.await_screen(rf"evict reader {number} of cam")
        self.keys("n")
        self.await_screen("not evicted")
        self.assertIsNone(third.poll())
        self.keys("e")
        self.await_screen(rf"evict reader {number} of cam")
        self.keys("y")
        self.assertEqual(third.wait(30), 1)

    def test_every_size_is_drawn(self):
        self.open(size=(20, 5))
        self.await_screen("NAME")
        for width, height in ((300, 60), (8, 2), (80, 24), (40, 12)):
            self.tmux("resize-window", "-x", str(width), "-y", str(height))
            self.await_true(lambda w=width: self.tmux("display", "-p", "#{pane_width}")
                            .stdout.strip() == str(w))
            self.keys("h", "Enter", "Escape", "End", "Home")
        self.await_screen("-> #[0-9]+ shm")
        self.keys("q")
        self.await_screen("ENDED 0")

    def test_the_terminal_is_left_as_it_was(self):
        self.open()
        self.await_screen(READER)
        self.keys("q")
        self.assertIn("ECHOES", self.await_screen("ECHOES"))
        self.await_screen("ENDED 0")

    def test_ctrl_c_ends_it_well(self):
        self.open(before="TERM=vt100")
        self.await_screen(READER)
        self.keys("C-c")
        self.await_screen("ENDED 0")

    def test_a_pause_keeps_the_picture(self):
        self.open()
        self.await_screen(READER)
        self.keys("p")
        self.await_screen("PAUSED")
        before = self.screen()
        self.lose()
        self.assertEqual(self.screen(), before)
        self.keys("p")
        self.await_true(lambda: not any("PAUSED" in line for line in self.screen()))


class Batch(Supervised):
    def test_a_table_or_an_object_each_time(self):
        self.start("shmframe-pattern", "--stream", "cam", "--no-sound", "--size", "64x64")
        self.start("shmframe-latency", "cam", "--policy", "latest", "--interval", "0")
        self.await_true(lambda: self.readers("cam"))
        done = self.call("top", "--batch", "--iterations", "2", "--interval", "0.2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(re.findall(READER, done.stdout)), 2)
        objects = self.json_lines("top", "--iterations", "2", "--interval", "0.2")
        self.assertEqual(len(objects), 2)
        stream = objects[1]["streams"][0]
        self.assertEqual((stream["name"], len(stream["reader_list"])), ("cam", 1))
        self.assertGreater(stream["reader_list"][0]["span"]["counters"]["delivered"], 0)

    def test_what_a_reader_lost_that_has_left_counts_for_a_minute(self):
        self.start("shmframe-pattern", "--stream", "left", "--no-sound", "--size", "64x64")
        reader = self.start("shmframe-latency", "left", "--policy", "in-order", "--interval", "0")
        self.await_true(lambda: self.readers("left"))
        head = self.stream("left")["head"]
        reader.send_signal(signal.SIGSTOP)
        self.await_true(lambda: self.stream("left")["head"] > head + 15)
        reader.send_signal(signal.SIGCONT)
        self.await_true(lambda: self.readers("left")[0]["lost"])
        reader.terminate()
        reader.wait(20)
        self.await_true(lambda: not self.readers("left"))

        def lost():
            return sum(event["count"] for event in self.json_lines("events", "--type", "loss")
                       if event["reader"])

        told = self.await_true(lost)
        picture = self.json_lines("top", "--iterations", "1", "--interval", "0.05")[0]
        self.assertGreaterEqual(picture["lost_last_minute"], told)
        self.assertLessEqual(picture["lost_last_minute"], lost())

    def test_mistakes_are_usage_errors_in_one_line(self):
        for arguments in (["--sort", "joy"], ["cam"], ["--interval", "0"], ["--format", "xml"],
                          ["--batch", "--iterations", "0"], []):
            done = self.call("top", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


class Gone(Supervised):
    """The supervisor ends, and another one comes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.writer = cls.start("shmframe-pattern", "--stream", "cam", "--no-sound", "--size",
                               "64x64", "--rate", "50")
        cls.await_true(lambda: cls.stream("cam"))

    def watch(self):
        self.watcher = subprocess.Popen([SHMFRAME, "top", "--format", "json", "--interval", "0.2"],
                                        env=self.env, text=True, stdout=subprocess.PIPE)
        self.addCleanup(self.watcher.wait)
        self.addCleanup(self.watcher.terminate)
        self.addCleanup(self.watcher.stdout.close)

    def await_picture(self, is_wanted):
        """The first picture that is as wanted."""
        end = time.monotonic() + 30
        while not is_wanted(picture := json.loads(self.watcher.stdout.readline())):
            self.assertLess(time.monotonic(), end, picture)
        return picture

    def leave(self, reader):
        reader.terminate()
        reader.wait(20)
        self.await_true(lambda: not self.readers("cam"))

    def kill_supervisor(self):
        self.supervisor.kill()
        self.supervisor.wait(30)

    def test_it_waits_for_the_next_supervisor(self):
        self.watch()
        self.await_picture(lambda picture: picture["connected"])
        self.kill_supervisor()
        self.await_picture(lambda picture: not picture["connected"])
        self.start_supervisor()
        self.await_picture(lambda picture: picture["connected"])

    def test_a_writer_that_comes_back_later_has_not_missed_it_all_again(self):
        reader = self.start("shmframe-latency", "cam", "--policy", "latest", "--interval", "0")
        self.addCleanup(self.leave, reader)
        self.await_true(lambda: self.readers("cam"))

        def find(picture):
            return next((s for s in picture["streams"] if s["writer_pid"]), None)

        def find_late(picture):
            return find(picture)["counters"]["late"] if find(picture) else 0

        self.watch()
        self.await_picture(find)
        self.writer.send_signal(signal.SIGSTOP)
        self.await_picture(lambda p: find(p) and find(p)["writer_state"] == "stalled")
        self.writer.send_signal(signal.SIGCONT)
        self.await_picture(find_late)
        self.await_picture(lambda p: find(p)["span"]["counters"]["late"] == 0)
        self.writer.send_signal(signal.SIGSTOP)
        before = self.stream("cam")["counters"]["late"]
        self.kill_supervisor()
        self.await_picture(lambda picture: not picture["connected"])
        self.start_supervisor()
        self.await_picture(lambda picture: picture["streams"] and not find(picture))
        self.writer.send_signal(signal.SIGCONT)
        after = find(self.await_picture(find))
        self.assertEqual(after["span"]["counters"]["late"], after["counters"]["late"] - before)

    def test_who_comes_back_later_than_others_has_not_lost_it_all_again(self):
        reader = self.start("shmframe-latency", "cam", "--policy", "in-order", "--interval", "0")
        self.addCleanup(self.leave, reader)

        def find(picture):
            return next((r for s in picture["streams"] for r in s["reader_list"]), None)

        def stop_for(frames):
            head = self.stream("cam")["head"]
            reader.send_signal(signal.SIGSTOP)
            self.await_true(lambda: self.stream("cam")["head"] > head + frames)

        self.await_true(lambda: self.readers("cam"))
        stop_for(30)
        reader.send_signal(signal.SIGCONT)
        self.watch()
        before = self.await_picture(lambda p: find(p) and find(p)["lost"])
        self.await_true(lambda: find(self.await_picture(lambda p: True))["span"]["counters"]
                        ["lost_late"] == 0)
        reader.send_signal(signal.SIGSTOP)
        self.kill_supervisor()
        self.await_picture(lambda picture: not picture["connected"])
        self.start_supervisor()
        self.await_picture(lambda picture: picture["connected"] and not find(picture))
        reader.send_signal(signal.SIGCONT)
        after = find(self.await_picture(find))
        self.assertEqual(after["span"]["counters"]["lost_late"],
                         after["counters"]["lost_late"] - find(before)["counters"]["lost_late"])


if __name__ == "__main__":
    unittest.main()
