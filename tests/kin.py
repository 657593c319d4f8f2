"""Processes that know each other by a word in their environment."""

import glob


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def find_kin(name, value):
    """Those that have this variable with this value."""
    mark, found = f"{name}={value}".encode(), []
    for entry in glob.glob("/proc/[0-9]*/environ"):
        pid = int(entry.split("/")[2])
        try:
            with open(entry, "rb") as file:
                if mark in file.read().split(b"\0") and is_running(pid):
                    found.append(pid)
        except OSError:  # it is gone, or another user's
            pass
    return found
