"""shmframe-view while its display or its sound server hangs, dies or comes back.

Both are the test's own: an Xvfb, and a PulseAudio with nothing but a null sink.
"""

import json
import os
import signal
import subprocess
import time
import unittest

from display import PATTERN, VIEW, Display, wait_for


class Devices(Display):
    def setUp(self):
        super().setUp()
        with open(os.path.join(self.folder, ".asoundrc"), "w", encoding="utf-8") as file:
            file.write("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        self.env.update(HOME=self.folder, PULSE_RUNTIME_PATH=self.folder,
                        PULSE_STATE_PATH=self.folder, PULSE_SERVER=f"unix:{self.folder}/native")
        self.env.pop("ALSA_CONFIG_PATH", None)

    def start_sound_server(self):
        server = self.start("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
                            "--use-pid-file=no", "-L", "module-null-sink sink_name=null rate=48000",
                            "-L", f"module-native-protocol-unix socket={self.folder}/native "
                                  "auth-anonymous=1", stderr=subprocess.DEVNULL)
        wait_for(lambda: self.count_inputs() is not None, "the sound server")
        return server

    def count_inputs(self):
        """How many programs play; None: there is no server."""
        done = subprocess.run(["pactl", "list", "short", "sink-inputs"], env=self.env, text=True,
                              capture_output=True, timeout=20, check=False)
        return len(done.stdout.splitlines()) if done.returncode == 0 else None

    def stop(self, server):
        server.send_signal(signal.SIGSTOP)
        self.addCleanup(server.send_signal, signal.SIGCONT)

    @staticmethod
    def wait_until_it_stands(process):
        """Until its main thread has not run for half a second; pictures would make it."""
        def count():
            with open(f"/proc/{process.pid}/task/{process.pid}/status", encoding="utf-8") as file:
                return [line for line in file if "ctxt_switches" in line]

        def stands():
            before = count()
            time.sleep(0.5)
            return before == count()
        wait_for(stands, "the end of the pictures")

    def test_sigint_ends_it_with_its_report_while_the_display_hangs(self):
        self.start(PATTERN, "--size", "64x48", "--rate", "30", "--no-sound")
        view = self.start_view()
        self.find_window(view)
        self.stop(self.servers[0])
        self.wait_until_it_stands(view)
        view.send_signal(signal.SIGINT)
        report = json.loads(view.communicate(timeout=30)[0])
        self.assertEqual(view.returncode, 1)
        self.assertGreater(report["shown"], 0)
        self.assertEqual(report["streams"][0]["stream"], "demo")
        self.assertIn("shmframe-view: the display does not answer: it is left alone\n", self.errors())

    def test_sigint_ends_it_with_its_report_while_the_sound_server_hangs(self):
        server = self.start_sound_server()
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        view = self.start_view()
        window = self.find_window(view)
        wait_for(self.count_inputs, "the sound")
        self.stop(server)
        # Pictures and keys go on.
        self.point(window, 10, 10)
        self.screenshot()
        view.send_signal(signal.SIGINT)
        report = json.loads(view.communicate(timeout=30)[0])
        self.assertEqual(view.returncode, 0)
        self.assertEqual({stream["stream"] for stream in report["streams"]}, {"demo", "demo.sound"})
        self.assertIn("shmframe-view: a device does not answer: it is left alone\n", self.errors())

    def test_there_are_pictures_and_keys_while_the_sound_server_hangs_from_the_beginning(self):
        self.stop(self.start_sound_server())
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        view = self.start_view()
        window = self.find_window(view)
        self.assertIn("shmframe-view: the sound device does not answer: nobody hears the sound\n",
                      wait_for(lambda: "answer" in self.errors() and self.errors(), "the complaint"))
        self.point(window, 10, 10)
        self.screenshot()
        self.key("q")
        report = json.loads(view.communicate(timeout=30)[0])
        self.assertEqual(view.returncode, 0)
        self.assertGreater(report["shown"], 0)

    def test_sound_comes_back_with_the_sound_server(self):
        server = self.start_sound_server()
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        view = self.start_view()
        wait_for(self.count_inputs, "the sound")
        server.kill()
        wait_for(lambda: "nobody hears it" in self.errors(), "the complaint")
        self.start_sound_server()
        wait_for(self.count_inputs, "the sound again")
        wait_for(lambda: "shmframe-view: the sound device is back\n" in self.errors(), "the word of it")
        view.send_signal(signal.SIGINT)
        self.assertEqual(view.wait(30), 0)

    def test_devices_of_any_name_are_listed_and_can_be_chosen(self):
        self.start_sound_server()
        long = "l" * 200
        with open(os.path.join(self.folder, ".asoundrc"), "ab") as file:
            for name in (b"7", b"caf\xe9", long.encode()):
                file.write(b'pcm."%b" { type pulse\n hint.description "x" }\n' % name)
        done = subprocess.run([VIEW, "--list", "--format", "json"], env=self.env, text=True,
                              capture_output=True, timeout=30, check=True)
        names = {device["name"] for device in json.loads(done.stdout)["devices"]}
        self.assertLessEqual({"7", "caf?", long}, names)
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        for name in ("7", "caf", long):
            view = self.start_view("--sound-device", name)
            wait_for(self.count_inputs, f"the sound of {name}")
            view.send_signal(signal.SIGINT)
            self.assertEqual(view.wait(30), 0, self.errors())
            wait_for(lambda: self.count_inputs() == 0, "the end of it")


if __name__ == "__main__":
    unittest.main(verbosity=2)
