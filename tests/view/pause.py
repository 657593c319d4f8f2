"""shmframe-view while it is paused: nothing that the user or the stream does takes the picture away,
ends it, or is counted as time that pictures took."""

import glob
import os
import signal
import time
import unittest

from display import Display, wait_for


class Pause(Display):
    def pause(self, *view):
        """The twins, and a view of the left one with its first picture, paused."""
        twins = self.twins()
        process = self.start_view(*view)
        self.wait_read("left")
        self.do(twins, "l")
        window = self.aim(process)
        self.key("space")
        self.wait_title(window, "paused", "#1")
        return twins, process, window

    def test_a_delay_that_is_changed_meanwhile_leaves_the_picture(self):
        twins, view, window = self.pause("left", "--size", "192x144")
        self.do(twins, "l")
        self.step(window, "period", 2)
        # In one go: the step back is not shown yet when pictures are to be read in another way.
        self.ask("key", "--delay", 0, "comma", "braceright")
        self.wait_title(window, "#1")
        self.assertEqual(self.screenshot().pixel(1, 1), (0, 0, 20))
        self.saved("S", "left-*-*.1.png")
        self.step(window, "period", 2)
        self.key("space")
        self.wait_policy("left", "in-order")
        self.do(twins, "l")
        self.wait_picture(lambda p: p.pixel(1, 1) == (0, 0, 60), "it goes on")
        self.end(view)

    def test_the_end_of_the_stream_is_waited_out(self):
        twins, view, window = self.pause("left", "--policy", "in-order", "--size", "192x144")
        self.do(twins, "lL")
        self.wait_title(window, "left  ended", "paused", "#1")
        self.step(window, "period", 2)
        self.step(window, "comma", 1)
        self.assertIsNone(view.poll())
        self.key("space")
        self.assertEqual(view.wait(20), 0)

    def test_the_deadline_does_not_run(self):
        pattern = self.pattern("left")  # until it is paused: the deadline runs before
        view, window = self.view("left", "--deadline", "1500ms", "--size", "192x144")
        self.key("space")
        self.wait_title(window, "paused")
        pattern.send_signal(signal.SIGSTOP)
        self.addCleanup(pattern.send_signal, signal.SIGCONT)
        time.sleep(2)  # longer than the deadline
        self.assertIsNone(view.poll())
        self.key("space")
        self.assertEqual(view.wait(20), 1)
        self.assertIn("left: no frame for 1.5 s", self.errors())

    def test_steps_beyond_what_is_held_do_not_pile_up(self):
        twins, view, window = self.pause("left", "--policy", "in-order", "--size", "192x144")
        self.key(*5 * ["period"])
        self.screenshot()  # by a key that comes after these
        self.do(twins, "lll")
        self.wait_title(window, "#2")
        self.screenshot()
        self.wait_title(window, "#2")
        report = self.end(view)
        self.assertEqual(report["shown"], 2)
        # The pause is no time that a picture took.
        self.assertEqual(report["streams"][0]["hops"]["display"]["count"], 1)

    def test_two_screenshots_in_a_second_are_two_files(self):
        self.pause("left", "--size", "192x144")
        files = lambda: glob.glob(os.path.join(self.folder, "left-*.png"))
        self.key(*8 * ["s"])
        wait_for(lambda: self.errors().count("saved left-") == 8, "the screenshots")
        self.assertEqual(len(files()), 8)

    def test_a_frame_that_is_saved_is_not_saved_again(self):
        self.pause("left", "--size", "192x144")
        def is_told():
            self.key("S", "S")
            return "is there already, with this frame" in self.errors()
        wait_for(is_told, "the word")
        self.assertNotIn("cannot be saved", self.errors())


if __name__ == "__main__":
    unittest.main(verbosity=2)
