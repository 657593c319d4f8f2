"""Nodes and their streams: who waits for whom, and who ends first."""

import os
import unittest

from place import Place, wait_for

PATTERN = os.environ["SHMFRAME_PATTERN"]
LATENCY = os.environ["SHMFRAME_LATENCY"]


class Streams(Place):
    def begin(self, picture, latency=""):
        self.start(f"[consumer latency]\nreads = picture\ncommand = {LATENCY} picture "
                   f"--duration 1h\n{latency}"
                   f"[producer picture]\nwrites = picture\ncommand = {PATTERN} --no-sound "
                   f"--stream picture --size 64x36\n{picture}")

    def test_a_reader_starts_once_its_stream_is_live(self):
        self.begin("start = no\n")
        self.assertEqual(self.node("latency")["state"], "waiting")
        self.done("start", "picture")
        self.assertEqual(self.await_state("picture", "running")["reason"], "its streams are live")
        self.await_state("latency", "running")
        # Its process is told by the node's name.
        wait_for(lambda: any(event["type"] == "reader-joined" and event["name"] == "latency"
                             for event in self.ask("events")), "latency to join")
        self.assertEqual({event["name"] for event in self.ask("events")
                          if event["type"] == "stream-live"}, {"picture"})
        # A stream that goes away later does not stop its reader: this one ends by itself then.
        self.done("restart", "picture")
        wait_for(lambda: self.node("picture")["starts"] == 2)
        self.await_state("picture", "running")
        self.assertFalse([text for text in self.states("latency") if text.startswith("stopping")])
        self.stop()

    def test_all_end_in_reverse_order(self):
        self.begin("")
        self.await_state("latency", "running")
        self.done("stop")
        self.assertEqual(self.await_state("picture", "stopped")["reason"], "on request")
        ends = [event["name"] for event in self.ask("events")
                if event["type"] == "node" and event["text"].startswith("stop")]
        self.assertEqual(ends, ["latency", "latency", "picture", "picture"])
        self.done("start")
        self.await_state("latency", "running")
        self.stop()

    def test_another_writer_of_the_stream_is_not_the_node(self):
        self.start(f"[producer other]\ncommand = {PATTERN} --no-sound --stream picture "
                   "--size 64x36\n[producer picture]\nwrites = picture\nready-timeout = 1s\n"
                   "restart = no\nstart = no\ncommand = sleep 1000\n")
        wait_for(lambda: any(event["type"] == "stream-live" for event in self.ask("events")))
        self.done("start", "picture")
        self.assertIn("not ready", self.await_state("picture", "failed")["reason"])
        self.stop()

    def test_a_stopped_writer_is_restarted_if_the_file_says_so(self):
        self.begin("stall-limit = 1s\non-stall = restart\nrestart-delay = 10ms\n")
        before = self.await_state("picture", "running")
        self.await_state("latency", "running")
        os.kill(before["pid"], 19)
        after = wait_for(lambda: (node := self.node("picture"))["state"] == "running" and
                         node["pid"] != before["pid"] and node)
        self.assertGreater(after["restarts"], before["restarts"])
        self.assertTrue(any("stopping: " in text for text in self.states("picture")))
        self.stop()


if __name__ == "__main__":
    unittest.main()
