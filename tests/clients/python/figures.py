"""What the emulator takes for large studios: prints the table of tests/emulator/docs/FIGURES.md.

    cargo build --release -p ftrack-emulator
    python tests/clients/python/figures.py target/release/ftrack-emulator

It needs nothing but Python. Times of the clock depend on what else the machine does; the
processor's time of the emulator does not. Linux only, for the latter.
"""

import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

TASKS = 100_000
BATCH = 500
READERS = 32
SECONDS = 10
PAGE = "select name, bid, status.name, type.name, parent.name, assignments.resource_id from Task limit 500"


class Emulator:
    def __init__(self, program, tasks):
        self.begun = time.monotonic()
        self.process = subprocess.Popen([program, "--tasks", str(tasks)], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.start = time.monotonic() - self.begun
        self.login = dict(part.split("=", 1) for part in line.split())

    def processor(self):
        """Seconds of the processor so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.terminate()
        self.process.wait()


class Client:
    """One connection."""

    def __init__(self, login):
        self.host = urllib.parse.urlsplit(login["FTRACK_SERVER"]).netloc
        self.headers = {
            "content-type": "application/json",
            "ftrack-user": login["FTRACK_API_USER"],
            "ftrack-api-key": login["FTRACK_API_KEY"],
        }
        self.connection = http.client.HTTPConnection(self.host, timeout=600)

    def call(self, *operations):
        self.connection.request("POST", "/api", json.dumps(operations), self.headers)
        response = self.connection.getresponse().read()
        return response

    def query(self, expression):
        return json.loads(self.call({"action": "query", "expression": expression}))[0]["data"]

    def create(self, entity_type, **data):
        data["__entity_type__"] = entity_type
        return {"action": "create", "entity_type": entity_type, "entity_data": data}


def measured(emulator, work, times=1):
    """The median time of the clock, and the processor's time of each."""
    used, clock = emulator.processor(), []
    for _ in range(times):
        begun = time.monotonic()
        work()
        clock.append(time.monotonic() - begun)
    return statistics.median(clock), (emulator.processor() - used) / times


def fill(client, project):
    for batch in range(TASKS // BATCH):
        folder = f"00000000-0000-4000-8000-{batch:012}"
        tasks = [client.create("Task", name=f"t{index}", parent_id=folder, bid=3600.0) for index in range(BATCH)]
        response = client.call(client.create("Folder", id=folder, name=f"f{batch}", parent_id=project), *tasks)
        assert response.startswith(b"["), response[:300]


def read(login, threads, end, counts):
    def loop():
        client, count = Client(login), 0
        while time.time() < end:
            client.call({"action": "query", "expression": "select name, status.name from Task limit 50"})
            count += 1
        counts.put(count)

    running = [threading.Thread(target=loop) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def crowd(emulator, client, project):
    counts, end = multiprocessing.Queue(), time.time() + SECONDS
    groups = [multiprocessing.Process(target=read, args=(emulator.login, READERS // 4, end, counts)) for _ in range(4)]
    for group in groups:
        group.start()
    writes = 0
    while time.time() < end:
        client.call(client.create("Folder", name=f"written {writes}", parent_id=project))
        writes += 1
    reads = [counts.get() for _ in range(READERS)]
    for group in groups:
        group.join()
    return reads, writes


def main(program):
    print("| what | clock | processor |\n|---|---|---|")
    row = lambda what, clock, used: print(f"| {what} | {clock} | {used} |", flush=True)  # noqa: E731
    emulator = Emulator(program, TASKS)
    row(f"start with a demo studio of {TASKS:,} tasks", f"{emulator.start:.1f} s", f"{emulator.processor():.1f} s")
    client = Client(emulator.login)
    client.query(PAGE)
    clock, used = measured(emulator, lambda: client.call({"action": "query", "expression": PAGE}), 50)
    row("a page of 500 tasks with five relations, among those", f"{clock * 1000:.1f} ms", f"{used * 1000:.1f} ms")
    emulator.close()

    emulator = Emulator(program, 12)
    client = Client(emulator.login)
    project = client.query("select id from Project where name is test")[0]["id"]
    clock, used = measured(emulator, lambda: fill(client, project))
    row(f"{TASKS:,} tasks created, {BATCH} in a request", f"{clock:.1f} s", f"{used:.1f} s")
    reads, writes = crowd(emulator, client, project)
    row(
        f"{READERS} readers and a writer for {SECONDS} s, among those",
        f"{sum(reads):,} pages of 50 (the slowest reader {min(reads)}), {writes:,} creates",
        "",
    )
    emulator.close()


if __name__ == "__main__":
    main(sys.argv[1])
