"""The official client against this module: the same script in two processes, on one server.

    python figures.py OFFICIAL_PYTHON

Run by a Python that has this module; OFFICIAL_PYTHON has the official client. Prints a table of the processor time in
seconds and the peak of memory in MiB, the median of five runs each.
"""

import json
import os
import statistics
import subprocess
import sys

SCRIPT = r'''
import json, os, resource, sys, tempfile, time

def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

what, folder, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])
empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = cpu()
import ftrack_api
session = ftrack_api.Session(schema_cache_path=folder, plugin_paths=[])
opened = cpu()
ATTRIBUTES = ("name", "description", "bid", "start_date", "end_date", "status_id", "type_id", "priority_id",
              "parent_id", "project_id", "created_at", "time_logged", "sort")
result = opened - begun

if what == "query":
    begun = cpu()
    count = 0
    for task in session.query("select %s from Task limit %d" % (", ".join(ATTRIBUTES), tasks)):
        for name in ATTRIBUTES:
            task[name]
        count += 1
    result = cpu() - begun
    assert count == tasks, count
elif what == "create":
    project = session.query("Project").first()
    parent = session.create("Folder", {"name": "figures %f" % time.time(), "parent": project})
    session.commit()
    begun = cpu()
    for number in range(tasks // 10):
        session.create("Task", {"name": "task %d" % number, "parent": parent, "bid": 3600.0})
    session.commit()
    result = cpu() - begun
    session.delete(parent)
    session.commit()
elif what == "update":
    found = session.query("select name, bid from Task limit %d" % tasks).all()
    begun = cpu()
    for task in found[:: max(1, len(found) // (tasks // 10))]:
        task["bid"] = task["bid"] + 1
    session.commit()
    result = cpu() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([result, (peak - empty) / 1024.0]))
session.close()
'''


def run(python, what, folder, tasks):
    output = subprocess.run([python, "-c", SCRIPT, what, folder, str(tasks)], check=True, stdout=subprocess.PIPE)
    return json.loads(output.stdout)


def main():
    import tempfile

    official = sys.argv[1]
    tasks = int(os.environ.get("FTRACK_FIGURES_TASKS", "10000"))
    runs = int(os.environ.get("FTRACK_FIGURES_RUNS", "5"))
    print("| what | official client, s | this module, s | of it | goal |")
    print("|---|---|---|---|---|")
    peaks = {}
    goals = {"open": "1/4", "query": "1/40", "create": "1/30", "update": "1/100"}
    for what, label in (
        ("open", "import and open"),
        ("query", "query {0} tasks with 13 attributes, touch all".format(tasks)),
        ("create", "create {0} tasks and commit".format(tasks // 10)),
        ("update", "update {0} of {1} tasks and commit".format(tasks // 10, tasks)),
    ):
        found = {}
        for python in (official, sys.executable):
            with tempfile.TemporaryDirectory() as folder:
                run(python, "open", folder, tasks)
                results = [run(python, what, folder, tasks) for _ in range(runs)]
            found[python] = statistics.median(result[0] for result in results)
            peaks.setdefault(python, {})[what] = statistics.median(result[1] for result in results)
        ratio = found[official] / found[sys.executable]
        print("| {0} | {1:.3f} | {2:.3f} | 1/{3:.1f} | {4} |".format(
            label, found[official], found[sys.executable], ratio, goals[what]))
        sys.stdout.flush()
    ours, theirs = peaks[sys.executable]["query"], peaks[official]["query"]
    print("| peak of memory of the query, MiB | {0:.1f} | {1:.1f} | {2:.2f} | 0.4 |".format(theirs, ours, ours / theirs))


if __name__ == "__main__":
    main()
