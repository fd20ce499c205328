"""The official Python event hub, told what to do line by line; see client.mjs."""

import json
import sys
import threading

import ftrack_api.event.base
import ftrack_api.event.hub


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def handle(event):
    say({"event": {"id": event["id"], "topic": event["topic"], "data": event["data"]}})
    return {"from": "python", "data": event["data"]}


def main():
    hub = ftrack_api.event.hub.EventHub(sys.argv[1], "ada", "secret")
    hub.connect()
    waiting = threading.Thread(target=hub.wait, daemon=True)
    waiting.start()
    say({"ready": True})
    for line in sys.stdin:
        command, topic, *rest = line.rstrip("\n").split(" ", 2)
        data = json.loads(rest[0]) if rest else {}
        if command == "subscribe":
            hub.subscribe("topic=" + topic, handle)
            say({"subscribed": topic})
        elif command == "publish":
            hub.publish(ftrack_api.event.base.Event(topic, data=data))
        elif command == "burst":
            for number in range(data):
                hub.publish(ftrack_api.event.base.Event(topic, data={"n": number}))
        elif command == "request":
            event = ftrack_api.event.base.Event(topic, data=data)
            hub.publish(event, on_reply=lambda reply: say({"reply": reply["data"]}))


main()
