"""The official Python event hub as a contender of `benches/events`: one JSON line of figures.

    client.py <url> <latencies> <burst>
"""

import json
import logging
import resource
import sys
import threading
import time

import ftrack_api.event.base
import ftrack_api.event.expression
import ftrack_api.event.hub

PACE = 0.005
QUIET = 3.0


def connect(url):
    hub = ftrack_api.event.hub.EventHub(url, "ada", "secret")
    hub.connect()
    return hub


def main():
    logging.disable(logging.CRITICAL)
    url, latencies, burst = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sender, receiver = connect(url), connect(url)
    arrived, times = threading.Event(), []

    def handle(event):
        times.append(time.perf_counter())
        arrived.set()

    receiver.subscribe("topic=bench", handle)
    for hub in (sender, receiver):
        threading.Thread(target=hub.wait, daemon=True).start()
    time.sleep(1)
    start, took = time.perf_counter(), []
    for number in range(latencies):
        time.sleep(max(0, start + PACE * number - time.perf_counter()))
        arrived.clear()
        sent = time.perf_counter()
        sender.publish(ftrack_api.event.base.Event("bench", data=number))
        if arrived.wait(20):
            took.append(times[-1] - sent)
    times.clear()
    start = time.perf_counter()
    for number in range(burst):
        try:
            sender.publish(ftrack_api.event.base.Event("bench", data=number))
        except Exception:
            break
    while len(times) < burst and time.perf_counter() - max(times + [start]) < QUIET:
        time.sleep(0.1)
    figures = {
        "latencies": [round(each * 1e6) for each in took],
        "received": len(times),
        "seconds": (times[-1] if times else time.perf_counter()) - start,
    }
    used = resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(2)
    now = resource.getrusage(resource.RUSAGE_SELF)
    figures["idle"] = (now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime) / 2
    figures.update(expressions())
    print(json.dumps(figures), flush=True)


def expressions():
    parser = ftrack_api.event.expression.Parser()
    event = ftrack_api.event.base.Event("ftrack.update", data={"n": 3})
    expression = parser.parse("topic=ftrack.update")
    return {
        "parse": rate(lambda: parser.parse("topic=ftrack.update")),
        "match": rate(lambda: expression.match(event)),
    }


def rate(work):
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < 0.5:
        for _ in range(100):
            work()
        count += 100
    return count / (time.perf_counter() - start)


main()
