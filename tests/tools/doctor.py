"""shmframe doctor, on the machine that it runs on: words, JSON, exit status, little rights."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
SHMFRAMED = os.environ["SHMFRAMED"]
LEVELS = ("ok", "note", "warning", "failure")


class Doctor(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        os.chmod(self.folder, 0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder)
        self.env.pop("SHMFRAME_SOCKET", None)

    def call(self, *arguments, prefix=()):
        return subprocess.run([*prefix, SHMFRAME, "doctor", *arguments], env=self.env, text=True,
                              capture_output=True, timeout=60, check=False)

    def findings(self, *arguments, code=0, prefix=()):
        done = self.call("--format", "json", *arguments, prefix=prefix)
        self.assertEqual((done.returncode, done.stderr), (code, ""), done.stdout)
        report = json.loads(done.stdout)
        self.assertEqual(set(report), {"level", "findings"})
        for finding in report["findings"]:
            self.assertEqual(set(finding), {"topic", "name", "level", "found", "cost", "remedy",
                                            "figures"})
            self.assertIn(finding["level"], LEVELS)
            for text in ("cost", "remedy"):
                self.assertEqual(finding[text] == "", finding["level"] == "ok", finding)
        self.assertEqual(report["level"], LEVELS[max(LEVELS.index(f["level"])
                                                     for f in report["findings"])])
        names = [finding["name"] for finding in report["findings"]]
        self.assertEqual(len(names), len(set(names)))
        return {finding["name"]: finding for finding in report["findings"]}

    def test_measurements_are_ordered(self):
        found = self.findings("--duration", "50ms")
        for name in ("wake-awake", "wake-halted", "sleep", "sleep-exact"):
            figures = found[name]["figures"]
            self.assertGreater(figures["count"], 0)
            self.assertLessEqual(figures["p50_ns"], figures["p99_ns"])
            self.assertLessEqual(figures["p99_ns"], figures["max_ns"])

    def test_each_is_measured_however_short_the_time(self):
        found = self.findings("--duration", "1us")
        for name in ("wake-awake", "wake-halted", "sleep", "sleep-exact"):
            self.assertGreater(found[name]["figures"]["count"], 0, name)

    def test_nothing_is_measured_where_nothing_is_asked(self):
        found = self.findings("--duration", "0")
        self.assertNotIn("wake-awake", found)
        self.assertIn("clock", found)

    def test_words_name_each_finding(self):
        found = self.findings("--duration", "0")
        done = self.call("--duration", "0")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        for name in found:
            self.assertEqual(len([line for line in lines if line.split()[1:2] == [name]
                                  and line.split()[0] in LEVELS]), 1, name)
        self.assertLessEqual(max(map(len, lines)), 120)

    def test_a_supervisor_is_found(self):
        self.assertEqual(self.findings("--duration", "0")["answer"]["level"], "note")
        ready, write = os.pipe()
        with subprocess.Popen([SHMFRAMED, "--quiet", "--ready-fd", str(write)], env=self.env,
                              pass_fds=(write,)) as supervisor:
            try:
                os.close(write)
                self.assertEqual(os.read(ready, 1), b"\n")
                answer = self.findings("--duration", "0")["answer"]
                self.assertEqual((answer["level"], answer["figures"]["pid"]),
                                 ("ok", supervisor.pid))
                self.assertIn(os.path.join(self.folder, "shmframe/socket"), answer["found"])
            finally:
                supervisor.terminate()
                os.close(ready)

    def start(self, program, *options, prefix=()):
        ready, write = os.pipe()
        supervisor = subprocess.Popen([*prefix, program, "--quiet", "--ready-fd", str(write),
                                       *options], env=self.env, pass_fds=(write,))
        self.addCleanup(supervisor.wait)
        self.addCleanup(supervisor.terminate)
        os.close(write)
        self.assertEqual(os.read(ready, 1), b"\n")
        os.close(ready)
        return supervisor

    def test_settings_and_limits_of_the_supervisor_are_told(self):
        path = os.path.join(self.folder, "shmframed.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[limits]\nmemory = 64M\nstreams = 9\n")
        os.chmod(path, 0o644)
        self.start(SHMFRAMED, "--settings", path)
        found = self.findings("--duration", "0")
        self.assertEqual((found["settings"]["level"], found["settings"]["found"]), ("ok", path))
        self.assertEqual(found["limits"]["level"], "ok")
        self.assertIn("memory 0 of 64 MiB", found["limits"]["found"])
        self.assertEqual(found["limits"]["figures"]["memory_limit"], 64 << 20)
        self.assertEqual(found["limits"]["figures"]["streams_limit"], 9)
        self.assertEqual(found["limits"]["figures"]["sessions_used"], 1)

    def test_a_limit_that_is_near_is_a_warning(self):
        self.start(SHMFRAMED, "--limit", "sessions=1")
        limits = self.findings("--duration", "0")["limits"]
        self.assertEqual(limits["level"], "warning")
        self.assertIn("sessions in [limits]", limits["remedy"])

    def test_a_program_that_was_replaced_is_told_to_its_user(self):
        """Who cannot look it up hears it from the supervisor, which nobody else can look into."""
        own = os.path.join(self.folder, "shmframed")
        prefix = ()
        if os.geteuid() == 0:
            prefix = ("setpriv", "--reuid=12341", "--regid=12341", "--clear-groups",
                      "--bounding-set=-all", "--inh-caps=-all")
            os.chown(self.folder, 12341, 12341)
        shutil.copy(SHMFRAMED, own)
        self.start(own, prefix=prefix)
        before = self.findings("--duration", "0", prefix=prefix)["answer"]
        self.assertEqual(before["level"], "ok")
        self.assertIn(own, before["found"])
        shutil.copy(SHMFRAMED, own + ".new")
        os.rename(own + ".new", own)
        after = self.findings("--duration", "0", prefix=prefix)["answer"]
        self.assertEqual((after["level"], after["remedy"]), ("note", "shmframe upgrade"))

    @unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "only root can become less")
    def test_another_user_hears_what_he_is_not_told(self):
        os.chmod(self.folder, 0o755)
        self.env["SHMFRAME_SOCKET"] = os.path.join(self.folder, "open/socket")
        self.start(SHMFRAMED, "--reach", "all", "--allow", "all")
        prefix = ("setpriv", "--reuid=12341", "--regid=12341", "--clear-groups")
        found = self.findings("--duration", "0", prefix=prefix)
        self.assertEqual(found["settings"]["level"], "note")
        self.assertIn("whether its program was replaced", found["settings"]["cost"])
        self.assertNotIn("limits", found)

    def test_a_place_that_is_open_to_others_is_told(self):
        os.chmod(self.folder, 0o755)
        self.assertEqual(self.findings("--duration", "0")["runtime-folder"]["level"], "warning")

    def test_what_is_no_supervisor_is_a_failure(self):
        os.mkdir(os.path.join(self.folder, "shmframe"), 0o700)
        self.env["SHMFRAME_SOCKET"] = self.folder + "/" + "x" * 200
        found = self.findings("--duration", "0", code=1)
        self.assertEqual(found["answer"]["level"], "failure")

    def test_where_no_supervisor_can_start_is_told(self):
        self.env["SHMFRAME_SOCKET"] = self.folder + "/a/b/socket"
        answer = self.findings("--duration", "0")["answer"]
        self.assertEqual(answer["level"], "warning")
        self.assertIn(f"shmframed cannot start: {self.folder}/a: No such file", answer["cost"])
        self.assertIn("--socket", answer["remedy"])
        os.mkdir(self.folder + "/a")
        self.assertEqual(self.findings("--duration", "0")["answer"]["level"], "note")

    def test_a_supervisor_that_is_stopped_is_told_with_its_pid(self):
        supervisor = self.start(SHMFRAMED)
        supervisor.send_signal(signal.SIGSTOP)
        self.addCleanup(supervisor.send_signal, signal.SIGCONT) # before its SIGTERM
        answer = self.findings("--duration", "0", code=1)["answer"]
        self.assertIn(f"kill -CONT {supervisor.pid}", answer["remedy"])
        self.assertIn("it is stopped, or hangs; 'shmframe doctor' tells which process", answer["found"])

    @unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "only root can become less")
    def test_who_cannot_reach_the_supervisor_hears_what_lets_him(self):
        self.start(SHMFRAMED)
        done = self.call("--duration", "0", "--format", "json",
                         prefix=("setpriv", "--reuid", "65534", "--clear-groups"))
        answer, = [f for f in json.loads(done.stdout)["findings"] if f["name"] == "answer"]
        self.assertIn("this user cannot reach the supervisor", answer["found"])
        self.assertIn("--reach", answer["found"])

    def test_limits_are_those_of_the_process(self):
        found = self.findings("--duration", "0", prefix=("prlimit", "--nofile=200:200"))
        self.assertEqual(found["descriptors"]["level"], "warning")
        self.assertEqual(found["descriptors"]["figures"]["hard"], 200)

    def test_one_processor_is_measured_as_one(self):
        cpu = min(os.sched_getaffinity(0))
        found = self.findings("--duration", "20ms", prefix=("taskset", "--cpu-list", str(cpu)))
        self.assertEqual(found["count"]["level"], "warning")
        self.assertIn("both on one processor", found["wake-awake"]["found"])

    @unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "only root can become less")
    def test_an_ordinary_user_hears_what_is_refused(self):
        os.chmod(self.folder, 0o755)
        prefix = ("setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set=-all",
                  "--inh-caps=-all", "prlimit", "--rtprio=0:0", "--nice=0:0")
        found = self.findings("--duration", "20ms", prefix=prefix)
        for name in ("real-time", "nice"):
            self.assertEqual((found[name]["level"], found[name]["figures"]["is_allowed"]),
                             ("note", 0))
        self.assertGreater(found["wake-halted"]["figures"]["count"], 0)

    def test_operands_and_wrong_formats_are_usage_errors(self):
        for arguments in (["cam"], ["--format", "xml"], ["--duration", "soon"]):
            done = self.call(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, arguments)


if __name__ == "__main__":
    unittest.main()
