"""shmframe-encode: what becomes of its files when it is killed, when the disk is full, and when it is asked."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
CAM = "shmframe-pattern --stream cam --size 160x120 --rate 50"


def decode(path):
    """Seconds of picture and sound, of a file that decodes to its end without complaint."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", path, "-f", "null", "-"],
                          capture_output=True, text=True, timeout=60, check=False)
    if done.returncode or done.stderr:
        raise AssertionError(f"{path}: {done.stderr}")
    done = subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_entries",
                           "packet=pts_time,codec_type", path], capture_output=True, text=True, timeout=60, check=True)
    ends = {}
    for packet in json.loads(done.stdout)["packets"]:
        kind = packet["codec_type"]
        ends[kind] = max(ends.get(kind, 0), float(packet["pts_time"]))
    return ends


def wait_for(what, condition):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come")
        time.sleep(0.01)


class Ends(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *lines):
        child = subprocess.Popen([SHMFRAME, "run", *lines], text=True, stderr=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(child.kill)
        return child

    def encode(self, options):
        """A command line that tells its process id."""
        return f"sh -c 'echo $$ > {self.path('pid')}; exec shmframe-encode cam {options}'"

    def signal(self, number):
        with open(self.path("pid"), encoding="utf-8") as file:
            os.kill(int(file.read()), number)

    def has_bytes(self, name, count):
        return os.path.exists(self.path(name)) and os.path.getsize(self.path(name)) > count

    def test_a_file_that_is_killed_plays(self):
        for name in ("a.mp4", "a.mkv"):
            with self.subTest(name):
                # A file's first and second second are on disk; a kill may come at any moment then.
                run = self.start(CAM, self.encode(self.path(name)))
                wait_for(name, lambda name=name: self.has_bytes(name, 5000))
                wait_for(name, lambda name=name, size=os.path.getsize(self.path(name)): self.has_bytes(name, size))
                self.signal(signal.SIGKILL)
                run.communicate(timeout=30)
                ends = decode(self.path(name))
                self.assertGreater(ends["video"], 0.4)
                self.assertGreater(ends["audio"], 0.4)

    def test_a_full_disk_is_told_and_others_go_on(self):
        # The last one's end is the run's: it reads until the disk is full, and on.
        other = self.path("other.sh")
        script = (f"mount -t tmpfs -o size=6m small {self.folder} && printf '%s\\n' "
                  f"'shmframe-latency cam --interval 0 --policy in-order --format json & "
                  f"until [ -e {self.path('ended')} ]; do sleep 0.1; done; sleep 0.5; kill $!; wait $!' > {other} && "
                  f"{SHMFRAME} run "
                  f"'shmframe-pattern --stream cam --size 320x240 --rate 50 --no-sound --wait-readers 2' "
                  f"'sh -c \"shmframe-encode cam {self.path('a.mkv')} --video rawvideo; echo ended with \\$? >&2; "
                  f": > {self.path('ended')}\"' 'sh {other}'; "
                  f"ffmpeg -v error -xerror -i {self.path('a.mkv')} -f null - && "
                  f"ffprobe -v error -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "
                  f"{self.path('a.mkv')}")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60,
                              check=False)
        if "Operation not permitted" in done.stderr:
            self.skipTest("a file system of one's own needs root")
        self.assertIn("No space left", done.stderr)
        self.assertIn("a.mkv", done.stderr)
        self.assertIn("ended with 1", done.stderr)
        lines = done.stdout.strip().splitlines()
        reports = [json.loads(line) for line in lines if line.startswith("{")]
        self.assertEqual(reports[0]["ended_by"], "signal")
        self.assertGreater(reports[0]["counters"]["delivered"], int(lines[-1]))
        self.assertGreater(int(lines[-1]), 10)

    def test_the_limit_of_a_files_size_is_told(self):
        path = self.path("a.mkv")
        run = self.start("shmframe-pattern --stream cam --size 320x240 --rate 50 --no-sound",
                         f"prlimit --fsize=3000000 shmframe-encode cam {path} --video rawvideo")
        _, said = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 1, said)
        self.assertIn("File too large", said)
        self.assertGreater(decode(path)["video"], 0.1)
        self.assertLessEqual(os.path.getsize(path), 3000000)

    def test_of_a_file_that_got_nothing_no_size_is_reported(self):
        path = self.path("a.mkv")
        run = self.start("shmframe-pattern --stream cam --size 640x480 --rate 20 --no-sound",
                         f"prlimit --fsize=150000 shmframe-encode cam {path} --video rawvideo")
        told, said = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 1, said)
        self.assertFalse(os.path.exists(path))
        self.assertIn(f"{path}: nothing was written\n", told)

    def test_a_fifo_is_one_flow_and_its_reader_may_come_late(self):
        fifo, copy = self.path("a.nut"), self.path("copy.nut")
        os.mkfifo(fifo)
        run = self.start(CAM + " --duration 4", f"shmframe-encode cam {fifo} --segment 1s")
        _, said = run.communicate(timeout=30)
        self.assertIn("one flow", said)
        # However late it comes, and however slow all is: it ends when its reader has enough.
        run = self.start(CAM, self.encode(fifo))
        wait_for("the line", lambda: "not there yet" in run.stderr.readline())
        with open(fifo, "rb") as source, open(copy, "wb") as target:
            target.write(source.read(500000))
            self.signal(signal.SIGTERM)
            target.write(source.read())
        self.assertEqual(run.wait(30), 0)
        run.communicate(timeout=30)
        ends = decode(copy)
        self.assertGreater(ends["video"], 0.4)
        self.assertGreater(ends["audio"], 0.4)
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.nut", "copy.nut", "pid"])

    def test_requests_are_answered_while_a_fifo_is_not_read(self):
        fifo = self.path("a.nut")
        os.mkfifo(fifo)
        held = os.open(fifo, os.O_RDWR)  # read by nobody
        self.addCleanup(os.close, held)
        # The file is lossless: its writer waits for the encoder, which waits for the FIFO.
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25", "-t", "20",
                        "-c:v", "mpeg4", self.path("source.mp4")], check=True, timeout=60)
        run = self.start(f"shmframe-media {self.path('source.mp4')} --stream cam",
                         f"shmframe-encode cam {fifo} --control rec --video rawvideo",
                         f"sh -c 'until shmframe ask rec stats 2>&1; do sleep 0.2; done; sleep 2; "
                         f"shmframe ask rec stats && shmframe ask rec quit && echo answered > {self.path('done')}'")
        wait_for("the answers", lambda: os.path.exists(self.path("done")))
        _, said = run.communicate(timeout=30)
        self.assertNotIn("ended in", said)

    def listens(self):
        """Whether the encoder has its handler of SIGUSR1."""
        try:
            with open(self.path("pid"), encoding="utf-8") as file:
                number = file.read().strip()
            with open(f"/proc/{number}/status", encoding="utf-8") as file:
                caught = next(line for line in file if line.startswith("SigCgt"))
        except (OSError, StopIteration):
            return False
        return bool(number) and int(caught.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1

    def test_the_last_seconds_are_saved_at_a_signal(self):
        run = self.start(CAM, self.encode(f"{self.path('keep.mkv')} --keep 1s"))
        wait_for("the encoder", self.listens)

        def saved():
            return [name for name in sorted(os.listdir(self.folder))
                    if name.startswith("keep-") and self.has_bytes(name, 1000)]

        def save():
            self.signal(signal.SIGUSR1)  # too early, it is refused with a line
            time.sleep(0.1)
            return saved()

        wait_for("a save", save)
        self.signal(signal.SIGINT)
        _, said = run.communicate(timeout=30)
        self.assertIn("saved the last", said)
        for name in saved():
            self.assertGreaterEqual(decode(self.path(name))["video"], 0)

    def test_standard_output_has_the_file_and_nothing_else(self):
        run = self.start(CAM + " --duration 1 --wait-readers 1", f"shmframe-encode cam - --container nut > {self.path('a.nut')}")
        _, said = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 0, said)
        self.assertGreater(decode(self.path("a.nut"))["video"], 0.4)
        with open(self.path("a.nut"), "rb") as file:
            self.assertNotIn(b"delivered", file.read())
        self.assertIn("delivered", said)


if __name__ == "__main__":
    unittest.main()
