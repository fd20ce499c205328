"""Opens and closes a thousand sessions and looks at what they leave behind in the emulator.

FTRACK_EMULATOR_PID names its process; the figures come from /proc, which only Linux has.
"""

import os
import pathlib
import sys
import time
import unittest

import support

COUNT = 1000
# Every so many sessions one connects to the event server too.
CONNECTED = 20
# What the allocator may keep: far less than a thousand times the smallest leak worth the name.
GROWTH_KIB = 4096


class Process:
    def __init__(self, identifier):
        self.folder = pathlib.Path("/proc", identifier)

    def files(self):
        return len(list((self.folder / "fd").iterdir()))

    def threads(self):
        return len(list((self.folder / "task").iterdir()))

    def memory(self):
        """The resident memory in KiB."""
        lines = (self.folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def figures(self):
        return {"files": self.files(), "threads": self.threads(), "KiB": self.memory()}


def work(count):
    for number in range(count):
        connected = number % CONNECTED == 0
        session = support.open_session()
        assert "query_schemas" not in session.actions() or number == 0
        if connected:
            session.event_hub.connect()
        assert session.query("select username from User").first() is not None
        session.close()


class ManySessions(unittest.TestCase):
    def test_a_thousand_sessions_leave_nothing_behind(self):
        emulator = Process(os.environ["FTRACK_EMULATOR_PID"])
        # The first sessions fill pools and caches that are meant to stay.
        work(100)
        self.settle(emulator, emulator.files(), emulator.threads())
        before = emulator.figures()
        started = time.monotonic()
        work(COUNT)
        took = time.monotonic() - started
        self.settle(emulator, before["files"], before["threads"])
        after = emulator.figures()
        print(f"{COUNT} sessions in {took:.0f} s; before {before}, after {after}")
        self.assertLessEqual(after["files"], before["files"])
        self.assertLessEqual(after["threads"], before["threads"])
        self.assertLess(after["KiB"], before["KiB"] + GROWTH_KIB)

    def settle(self, emulator, files, threads):
        """Idle threads of a pool end after a while; connections are closed at once."""
        end = time.monotonic() + 15
        while (emulator.files() > files or emulator.threads() > threads) and time.monotonic() < end:
            time.sleep(0.1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
