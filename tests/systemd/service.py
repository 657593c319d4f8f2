"""shmframed as a service: what it tells the manager, and what comes back by its descriptor store."""

import ctypes
import os
import socket
import stat
import unittest

import manager

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


class Service(unittest.TestCase):
    def setUp(self):
        self.manager = manager.Manager()
        self.addCleanup(self.manager.close)

    def kill_all(self):
        """The supervisor first: nobody sees the writer's death."""
        self.manager.kill()
        for process in self.manager.others:
            process.kill()
            process.wait()

    def test_tells_its_life_and_numbers(self):
        self.manager.start()
        self.manager.await_message("STATUS", "0 streams live, 0 readers")
        self.manager.pattern()
        self.manager.await_message("STATUS", "1 stream live, 0 readers")
        self.manager.service.terminate()
        self.manager.await_message("STOPPING", "1")
        self.assertEqual(self.manager.service.wait(manager.DEADLINE_S), 0)

    def test_serves_though_the_manager_does_not_read(self):
        """A notification socket takes a few messages; then the supervisor would wait, and all with it."""
        self.manager.start(env={"WATCHDOG_USEC": "60000000"})
        names = [f"s{i}" for i in range(16)]
        for name in names:
            self.manager.pattern("--stream", name)
        manager.wait_for(lambda: len(self.manager.ls()) == len(names), "all streams")
        # Now it reads, and hears all of them, one after another.
        self.manager.await_store(*(f"ring.1.{name}" for name in names))
        self.manager.await_message("STATUS", "16 streams live, 0 readers")
        self.manager.service.terminate()
        self.assertEqual(self.manager.service.wait(manager.DEADLINE_S), 0)

    def test_tells_that_its_loop_is_alive(self):
        self.manager.start(env={"WATCHDOG_USEC": "200000"})
        self.manager.await_message("WATCHDOG", "1", count=3)

    def test_serves_a_socket_with_a_state_folder_of_its_own(self):
        state = os.path.join(self.manager.folder, "state")
        os.mkdir(state, 0o700)
        open_to_all = os.path.join(self.manager.folder, "open")
        os.mkdir(open_to_all)
        os.chmod(open_to_all, 0o755)
        self.manager.socket = os.path.join(open_to_all, "socket")
        self.manager.env["SHMFRAME_SOCKET"] = self.manager.socket
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(self.manager.socket)
            listening.listen()
            self.manager.start(sockets=[listening], env={"RUNTIME_DIRECTORY": state})
            self.manager.pattern()
            self.manager.await_store("ring.1.demo")
            names = os.path.join(state, "socket.names")
            self.assertEqual(stat.S_IMODE(os.stat(names).st_mode), 0o600)
            self.assertEqual(os.listdir(open_to_all), ["socket"])

    def test_keeps_the_newest_ring_of_each_stream(self):
        self.manager.start()
        first = self.manager.pattern()
        second = self.manager.pattern("--stream", "cam")
        self.manager.await_store("ring.1.demo", "ring.1.cam")
        first.terminate()
        self.manager.await_store("ring.1.cam")
        self.manager.pattern("--stream", "demo")
        self.manager.await_store("ring.1.cam", "ring.2.demo")
        second.kill()
        self.manager.await_store("ring.2.demo")

    def test_streams_go_on_though_all_who_knew_them_are_dead(self):
        self.manager.start()
        self.manager.pattern()
        self.manager.await_store("ring.1.demo")
        ring = self.manager.store["ring.1.demo"][0]
        manager.wait_for(lambda: manager.head_of(ring) > 20, "frames")
        self.kill_all()
        os.unlink(self.manager.socket + ".names")
        head = manager.head_of(ring)
        self.manager.start()
        self.assertIn("event=ring-restored", self.manager.read_log())
        stream = self.manager.ls()["demo"]
        self.assertEqual((stream["generation"], stream["head"]), (1, head))
        # Whoever had it may still come back, for a while; then it is known to be gone.
        self.manager.await_store()
        self.assertEqual(self.manager.ls()["demo"]["state"], "writer gone")
        self.manager.pattern()
        self.manager.await_store("ring.2.demo")
        ring = self.manager.store["ring.2.demo"][0]
        manager.wait_for(lambda: manager.head_of(ring), "a frame")
        stream = self.manager.ls()["demo"]
        self.assertEqual(stream["generation"], 2)
        self.assertGreater(stream["head"], head)

    def test_a_writer_that_lives_is_not_disturbed(self):
        self.manager.start()
        writer = self.manager.pattern()
        self.manager.await_store("ring.1.demo")
        # It is kept before the writer hears that it is open.
        manager.wait_for(lambda: self.manager.ls()["demo"]["head"], "the first frame")
        self.manager.kill()
        self.manager.start()
        self.assertIn("event=ring-restored", self.manager.read_log())
        manager.wait_for(lambda: "event=stream-resumed" in self.manager.read_log(), "the writer")
        self.manager.take()
        self.assertEqual(sorted(self.manager.store), ["ring.1.demo"])
        self.assertEqual(len(self.manager.store["ring.1.demo"]), 1)
        stream = self.manager.ls()["demo"]
        self.assertEqual((stream["generation"], stream["state"]), (1, "live"))
        self.assertIsNone(writer.poll())

    def test_how_a_node_ended_meanwhile_is_known(self):
        # The orphaned node has to be reaped by somebody: only its pidfd tells its status then.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.addCleanup(ctypes.CDLL(None).prctl, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        pipe = os.path.join(self.manager.folder, "pipe")
        os.mkfifo(pipe)
        config = self.manager.write_config(f"""
            [consumer one]
            command = read line < {pipe}; exit 7
            restart = no
            """)
        self.manager.start("--config", config)
        self.manager.await_store("node.one")
        pid = manager.wait_for(lambda: self.manager.nodes()["one"][1], "the node")
        self.manager.kill()
        with open(pipe, "w", encoding="utf-8") as file:
            file.write("go\n")
        self.assertEqual(os.waitpid(pid, 0)[1], 7 << 8)
        self.manager.start("--config", config)
        self.assertEqual(self.manager.nodes()["one"][4], 7)
        self.manager.await_store()

    def test_a_node_that_lives_keeps_its_descriptor(self):
        config = self.manager.write_config("""
            [consumer one]
            command = sleep 1000
            """)
        self.manager.start("--config", config)
        self.manager.await_store("node.one")
        before = manager.wait_for(lambda: self.manager.nodes().get("one"), "the node")
        self.manager.kill()
        self.manager.start("--config", config)
        self.assertEqual(self.manager.nodes()["one"], before)
        self.manager.take()
        self.assertEqual(len(self.manager.store["node.one"]), 1)
        self.manager.service.terminate()
        self.assertEqual(self.manager.service.wait(manager.DEADLINE_S), 0)
        self.manager.await_store()

    def test_what_is_no_ring_is_given_back(self):
        unsealed = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
        os.ftruncate(unsealed, 1 << 20)
        pipe = os.pipe()
        os.close(pipe[1])
        bad = {"ring.1.unsealed": unsealed, "ring.1.pipe": pipe[0],
               "ring.0.zero": os.open("/dev/null", os.O_RDONLY),
               "ring.x.demo": os.open("/dev/null", os.O_RDONLY),
               "ring.1.BAD": os.open("/dev/null", os.O_RDONLY),
               "node.nobody": os.pidfd_open(os.getpid())}
        for name, descriptor in bad.items():
            self.manager.keep(name, descriptor)
        self.manager.start()
        self.manager.await_store()
        self.assertEqual(self.manager.ls(), {})
        log = self.manager.read_log()
        for name in bad:
            if name.startswith("ring."):
                self.assertIn(f'event=ring-not-restored name="{name}"', log)

    def test_a_ring_that_may_still_shrink_is_not_taken(self):
        self.manager.start()
        self.manager.pattern()
        self.manager.await_store("ring.1.demo")
        self.kill_all()
        os.unlink(self.manager.socket + ".names")
        [sealed] = self.manager.store.pop("ring.1.demo")
        copy = os.memfd_create("copy", os.MFD_ALLOW_SEALING)
        os.ftruncate(copy, os.fstat(sealed).st_size)
        os.pwrite(copy, os.pread(sealed, 1 << 20, 0), 0)  # all but its seals
        os.close(sealed)
        self.manager.keep("ring.1.demo", copy)
        self.manager.start()
        self.assertEqual(self.manager.ls(), {})

    def test_a_ring_of_another_stream_is_not_taken(self):
        self.manager.start()
        self.manager.pattern()
        self.manager.await_store("ring.1.demo")
        self.kill_all()
        os.unlink(self.manager.socket + ".names")
        self.manager.store["ring.7.other"] = self.manager.store.pop("ring.1.demo")
        self.manager.start()
        self.assertEqual(self.manager.ls(), {})


if __name__ == "__main__":
    unittest.main()
