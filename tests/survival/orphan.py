"""Programs whose private supervisor is gone: they wait for the next one, but not for ever."""

import subprocess
import unittest

import manager


class Orphan(unittest.TestCase):
    def setUp(self):
        self.manager = manager.Manager()
        self.addCleanup(self.manager.close)

    def spawn(self, name, private=None, **streams):
        env = dict(self.manager.env)
        env.pop("SHMFRAME_PRIVATE", None)
        if private:
            env["SHMFRAME_PRIVATE"] = private
        with open(self.manager.log, "a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [manager.PATTERN, "--no-sound", "--size", "64x64", "--stream", name], env=env,
                stdout=subprocess.DEVNULL, stderr=log, **streams)
        self.manager.others.append(process)
        return process

    def live(self):
        return {name for name, stream in self.manager.ls().items() if stream["state"] == "live"}

    def test_ends_once_its_supervisor_is_gone_for_good(self):
        self.manager.start()
        private = self.spawn("private", "2s")
        other = self.spawn("other")
        manager.wait_for(lambda: self.live() == {"private", "other"}, "the streams")
        self.manager.kill()
        self.manager.start()
        manager.wait_for(lambda: self.live() == {"private", "other"}, "their return")
        self.assertIsNone(private.poll())
        self.manager.kill()
        self.assertEqual(private.wait(manager.DEADLINE_S), 0)
        self.assertIn("the private supervisor is gone for good", self.manager.read_log())
        self.assertIsNone(other.poll())

    def test_ends_by_itself_as_ever(self):
        self.manager.start()
        private = self.spawn("private", "1h")
        manager.wait_for(lambda: self.live() == {"private"}, "the stream")
        private.terminate()
        self.assertEqual(private.wait(manager.DEADLINE_S), 0)
        self.assertNotIn("gone for good", self.manager.read_log())


if __name__ == "__main__":
    unittest.main()
