"""A supervisor for a test."""

import os
import subprocess


def start_supervisor(program, env):
    """Starts it, and returns once it listens."""
    told, ready = os.pipe()
    process = subprocess.Popen([program, "--quiet", "--ready-fd", str(ready)], env=env,
                               pass_fds=[ready], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(ready)
    with os.fdopen(told, "rb") as file:
        if not file.read(1):
            process.wait()
            raise AssertionError("the supervisor did not start")
    return process
