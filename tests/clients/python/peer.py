"""A process with the official Python event hub, told what to do line by line.

It takes the same orders and says the same as javascript/peer.mjs.
"""

import json
import queue
import sys
import threading
import time

import ftrack_api

import support


def say(**what):
    print(json.dumps(what), flush=True)


def plain(event):
    """An event as it is on the wire."""
    names = {"in_reply_to_event": "inReplyToEvent"}
    return {names.get(key, key): value for key, value in dict(event).items() if not key.startswith("_")}


def settle(hub):
    """When one's own event comes back, everything that was sent before it is in force."""
    topic = f"peer.settled.{time.monotonic_ns()}"
    back = []
    identifier = hub.subscribe(f"topic={topic}", back.append)
    hub.publish(ftrack_api.event.base.Event(topic))
    end = time.monotonic() + 20
    while not back and time.monotonic() < end:
        hub.wait(0.01)
    hub.unsubscribe(identifier)


def follow(hub, order):
    if "subscribe" in order:

        def callback(event):
            say(event=plain(event))
            return order.get("reply")

        hub.subscribe(order["subscribe"], callback, order.get("subscriber"))
        settle(hub)
        say(subscribed=order["subscribe"])
    elif "publish" in order:
        target = {"target": order["target"]} if order.get("target") else {}
        hub.publish(ftrack_api.event.base.Event(order["publish"], data=order["data"], **target))
        say(published=order["publish"])
    elif "request" in order:
        event = ftrack_api.event.base.Event(order["request"], data=order["data"])
        hub.publish(event, on_reply=lambda reply: say(reply=plain(reply)))


def main():
    orders = queue.Queue()

    def read():
        for line in sys.stdin:
            orders.put(json.loads(line))
        orders.put(None)

    with support.open_session() as session:
        hub = session.event_hub
        hub.connect()
        settle(hub)
        say(ready="python", id=hub.id)
        threading.Thread(target=read, daemon=True).start()
        while True:
            hub.wait(0.01)
            try:
                order = orders.get_nowait()
            except queue.Empty:
                continue
            if order is None:
                break
            follow(hub, order)


if __name__ == "__main__":
    try:
        main()
    finally:
        # Nothing runs a test module's cleanups here.
        support.unittest.doModuleCleanups()
