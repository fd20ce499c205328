"""The official Python client and the SDK's module as contenders: written as their users write."""

import json
import os
import sys
import time

REPORT = {"times": {}, "peak": None, "seen": None}


class Step:
    """Notes what the statements inside cost, in milliseconds."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_):
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        REPORT["times"][self.name] = {"cpu": cpu * 1e3, "wall": wall * 1e3}


def peak():
    """The most memory so far, in bytes, where the system tells in a file."""
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
            return int(line.split()[1]) * 1024
    except OSError:
        return None


def work(session, count):
    with open(os.environ["PEERS_WORK"], encoding="utf-8") as file:
        new = json.load(file)
    changes = len(new["ids"])
    with Step("query"):
        tasks = session.query(os.environ["PEERS_QUERY"]).all()
    REPORT["peak"] = peak()
    assert len(tasks) == count, len(tasks)
    with Step("touch"):
        total = 0.0
        for task in tasks:
            task["name"], task["description"]
            task["status"]["name"], task["status"]["color"]
            task["type"]["name"], task["priority"]["name"]
            task["project"]["full_name"], task["parent"]["name"]
            task["start_date"], task["end_date"], task["created_at"]
            total += task["bid"] + task["sort"]
    REPORT["seen"] = total
    ids = [task["id"] for task in tasks]
    with Step("get"):
        for id in ids:
            session.get("Task", id)
    with Step("update"):
        for task in tasks[:changes]:
            task["bid"] = 7.0
        session.commit()
    with Step("create"):
        for number, id in enumerate(new["ids"]):
            session.create(
                "Task",
                {
                    "id": id,
                    "name": f"task_{number}",
                    "description": "made by a benchmark",
                    "bid": 3600,
                    "parent_id": new["parent_id"],
                    "status_id": new["status_id"],
                    "type_id": new["type_id"],
                },
            )
        session.commit()


def users(session, count):
    with Step("query"):
        tasks = session.query(os.environ["PEERS_QUERY"]).all()
    REPORT["peak"] = peak()
    assert len(tasks) == count, len(tasks)


scenario, count = sys.argv[1], int(sys.argv[2])
with Step("import"):
    import ftrack_api
with Step("open"):
    session = ftrack_api.Session(plugin_paths=[])
if scenario == "work":
    work(session, count)
elif scenario == "users":
    users(session, count)
elif scenario != "start":
    sys.exit(f"there is no scenario {scenario!r}")
session.close()
print(json.dumps(REPORT))
