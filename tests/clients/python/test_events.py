"""Events: among Python sessions, with a JavaScript process, and those that the server sends."""

import json
import os
import pathlib
import queue
import subprocess
import threading
import time
import unittest

import arrow
import ftrack_api
from ftrack_api.event.base import Event

import peer
from support import Case, open_session, unique

PEER = pathlib.Path(__file__).parent.parent / "javascript" / "peer.mjs"


class Listener:
    """A session on the event server, and what it has received."""

    def __init__(self, case, **arguments):
        self.session = open_session(**arguments)
        case.addCleanup(self.session.close)
        self.hub = self.session.event_hub
        self.hub.connect()
        self.events = []

    def listen(self, subscription, reply=None, subscriber=None):
        """Returns when the server knows the subscription."""

        def callback(event):
            self.events.append(event)
            return reply

        identifier = self.hub.subscribe(subscription, callback, subscriber)
        self.settle()
        return identifier

    def settle(self):
        peer.settle(self.hub)

    def publish(self, topic, data=None, **extra):
        event = Event(topic, data=data or {}, **extra)
        self.hub.publish(event)
        return event["id"]

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never came true; events: {self.events}")
            self.hub.wait(0.01)

    def receive(self, count):
        """Exactly that many events: none follows them."""
        self.until(lambda: len(self.events) >= count)
        self.settle()
        assert len(self.events) == count, self.events
        return self.events


class Peer:
    """Another process with the JavaScript hub."""

    def __init__(self, case):
        self.process = subprocess.Popen(["node", str(PEER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        case.addCleanup(self._end)
        self.id = self.expect("ready")["id"]

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))

    def _end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.reader.join(20)
        self.process.stdout.close()

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def expect(self, kind, other=lambda: None):
        """What it says next of this kind; *other* is called while waiting."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            other()
            try:
                line = self.lines.get(timeout=0.02)
            except queue.Empty:
                continue
            if kind in line:
                return line
        raise AssertionError(f"the other process did not say {kind}")


class Hubs(Case):
    def setUp(self):
        super().setUp()
        self.topic = unique("clients.topic")
        self.one = Listener(self)
        self.two = Listener(self)

    def test_an_event_arrives_as_it_was_sent(self):
        self.two.listen(f"topic={self.topic}")
        data = {"text": "ünï \"quotes\" \U0001f600 :::", "number": 2.5, "none": None, "list": [1, {"a": True}]}
        identifier = self.one.publish(self.topic, data)
        (event,) = self.two.receive(1)
        self.assertEqual((event["id"], event["topic"], event["data"]), (identifier, self.topic, data))
        self.assertEqual(event["source"]["id"], self.one.hub.id)
        self.assertEqual(event["source"]["user"]["username"], self.session.api_user)
        self.assertIsNone(event["in_reply_to_event"])

    def test_dates_and_entities_survive(self):
        self.two.listen(f"topic={self.topic}")
        when = arrow.get("2026-03-04T05:06:07+00:00")
        self.one.publish(self.topic, {"when": when.isoformat()})
        self.assertEqual(arrow.get(self.two.receive(1)[0]["data"]["when"]), when)

    def test_the_publisher_receives_its_own_event(self):
        self.one.listen(f"topic={self.topic}")
        self.one.publish(self.topic)
        self.one.receive(1)

    def test_several_subscriptions_of_one_hub_get_one_copy_each(self):
        for _ in range(3):
            self.two.listen(f"topic={self.topic}")
        self.one.publish(self.topic)
        self.assertEqual(len({event["id"] for event in self.two.receive(3)}), 1)

    def test_nobody_else_receives_it(self):
        self.two.listen(f"topic={self.topic}.other")
        self.one.publish(self.topic)
        self.one.publish(f"{self.topic}.other")
        self.assertEqual(self.two.receive(1)[0]["topic"], f"{self.topic}.other")

    def test_wildcards(self):
        self.two.listen(f"topic={self.topic}.*")
        for name in ("a", "b.c"):
            self.one.publish(f"{self.topic}.{name}")
        self.one.publish("x" + self.topic)
        topics = [event["topic"] for event in self.two.receive(2)]
        self.assertEqual(topics, [f"{self.topic}.a", f"{self.topic}.b.c"])

    def test_expressions_choose_by_what_is_inside(self):
        self.two.listen(f'topic={self.topic} and (data.kind="a" or data.inner.deep="yes") and not data.skip="yes"')
        for data in ({"kind": "a"}, {"kind": "b"}, {"inner": {"deep": "yes"}}, {"kind": "a", "skip": "yes"}, {}):
            self.one.publish(self.topic, data)
        self.assertEqual([event["data"] for event in self.two.receive(2)], [{"kind": "a"}, {"inner": {"deep": "yes"}}])

    def test_expressions_choose_by_who_sent_it(self):
        self.two.listen(f'topic={self.topic} and source.user.username="{self.session.api_user}"')
        self.two.listen(f'topic={self.topic} and source.user.username="nobody"')
        self.one.publish(self.topic)
        self.two.receive(1)

    def test_targets(self):
        self.one.listen(f"topic={self.topic}", subscriber={"id": unique("sub"), "applicationId": "nuke"})
        self.two.listen(f"topic={self.topic}", subscriber={"id": unique("sub"), "applicationId": "maya"})
        sender = Listener(self)
        sender.publish(self.topic, {"n": 1}, target="applicationId=maya")
        sender.publish(self.topic, {"n": 2}, target="applicationId=nuke or applicationId=maya")
        sender.publish(self.topic, {"n": 3}, target="applicationId=houdini")
        self.assertEqual([event["data"]["n"] for event in self.one.receive(1)], [2])
        self.assertEqual([event["data"]["n"] for event in self.two.receive(2)], [1, 2])

    def test_what_a_callback_returns_is_a_reply_to_the_publisher_alone(self):
        self.two.listen(f"topic={self.topic}", reply={"value": 42})
        bystander = Listener(self)
        bystander.listen("topic=ftrack.meta.reply")
        replies = []
        event = Event(self.topic, data={"question": "?"})
        self.one.hub.publish(event, on_reply=replies.append)
        self.two.receive(1)
        self.one.until(lambda: replies)
        self.assertEqual(replies[0]["data"], {"value": 42})
        self.assertEqual((replies[0]["topic"], replies[0]["in_reply_to_event"]), ("ftrack.meta.reply", event["id"]))
        bystander.settle()
        self.assertEqual([each for each in bystander.events if each["in_reply_to_event"] == event["id"]], [])

    def test_every_subscriber_may_reply(self):
        three = Listener(self)
        self.two.listen(f"topic={self.topic}", reply="two")
        three.listen(f"topic={self.topic}", reply="three")
        replies = []
        self.one.hub.publish(Event(self.topic), on_reply=lambda event: replies.append(event["data"]))
        self.two.receive(1)
        three.receive(1)
        self.one.until(lambda: len(replies) == 2)
        self.assertEqual(sorted(replies), ["three", "two"])

    def test_after_unsubscribing_nothing_arrives(self):
        identifier = self.two.listen(f"topic={self.topic}")
        self.one.publish(self.topic)
        self.two.receive(1)
        self.two.hub.unsubscribe(identifier)
        self.two.settle()
        self.one.publish(self.topic)
        self.one.settle()
        self.two.receive(1)

    def test_a_subscription_for_a_while(self):
        self.one.settle()
        with self.two.hub.subscription(f"topic={self.topic}", self.two.events.append):
            self.two.settle()
            self.one.publish(self.topic)
            self.two.until(lambda: self.two.events)
        self.two.settle()
        self.one.publish(self.topic)
        self.two.receive(1)

    def test_the_order_is_kept(self):
        self.two.listen(f"topic={self.topic}")
        for n in range(300):
            self.one.publish(self.topic, {"n": n})
        self.assertEqual([event["data"]["n"] for event in self.two.receive(300)], list(range(300)))

    def test_large_events(self):
        self.two.listen(f"topic={self.topic}")
        data = {"text": "ü" * 500_000}
        self.one.publish(self.topic, data)
        self.assertEqual(self.two.receive(1)[0]["data"], data)

    def test_an_identifier_is_taken_once_per_hub_but_free_on_others(self):
        name = unique("sub")
        self.one.listen(f"topic={self.topic}", subscriber={"id": name})
        with self.assertRaises(ftrack_api.exception.NotUniqueError):
            self.one.hub.subscribe(f"topic={self.topic}", print, {"id": name})
        self.two.listen(f"topic={self.topic}", subscriber={"id": name})
        self.one.publish(self.topic)
        self.one.receive(1)
        self.two.receive(1)

    def test_subscriptions_survive_a_reconnect(self):
        self.two.listen(f"topic={self.topic}")
        self.two.hub.reconnect(attempts=3, delay=0.2)
        self.two.settle()
        self.one.publish(self.topic)
        self.two.receive(1)

    def test_disconnecting_is_prompt(self):
        started = time.monotonic()
        self.two.hub.disconnect()
        self.assertLess(time.monotonic() - started, 2.5)
        self.assertFalse(self.two.hub.connected)

    def test_synchronous_events_stay_local(self):
        self.two.listen(f"topic={self.topic}")
        self.one.hub.subscribe(f"topic={self.topic}", lambda event: "local")
        self.assertEqual(self.one.hub.publish(Event(self.topic), synchronous=True), ["local"])
        self.one.settle()
        self.two.receive(0)

    def test_a_wrong_key_is_refused(self):
        hub = ftrack_api.event.hub.EventHub(self.session.server_url, self.session.api_user, "wrong")
        with self.assertRaises(ftrack_api.exception.EventHubConnectionError):
            hub.connect()

    def test_connecting_along_with_the_session(self):
        session = open_session(auto_connect_event_hub=True)
        self.addCleanup(session.close)
        received = []
        session.event_hub.subscribe(f"topic={self.topic}", received.append)
        session.event_hub.publish(Event(self.topic))
        end = time.monotonic() + 20
        while not received and time.monotonic() < end:
            session.event_hub.wait(0.05)
        self.assertEqual(len(received), 1)


class WithJavaScript(Case):
    def setUp(self):
        super().setUp()
        self.topic = unique("clients.topic")
        self.python = Listener(self)
        self.javascript = Peer(self)

    def test_from_javascript_to_python(self):
        self.python.listen(f"topic={self.topic}")
        data = {"text": "ünï \U0001f600", "list": [1, None, {"a": False}]}
        self.javascript.tell(publish=self.topic, data=data)
        (event,) = self.python.receive(1)
        self.assertEqual(event["data"], data)
        self.assertEqual(event["source"]["applicationId"], "tests.peer")
        self.assertEqual((event["source"]["id"], event["source"]["user"]["username"]), (self.javascript.id, self.session.api_user))

    def test_from_python_to_javascript_and_the_reply_back(self):
        self.javascript.tell(subscribe=f"topic={self.topic}", reply={"from": "javascript"})
        self.javascript.expect("subscribed")
        replies = []
        event = Event(self.topic, data={"from": "python", "text": "漢字"})
        self.python.hub.publish(event, on_reply=replies.append)
        received = self.javascript.expect("event")["event"]
        self.assertEqual((received["id"], received["data"]), (event["id"], {"from": "python", "text": "漢字"}))
        self.assertEqual(received["source"]["id"], self.python.hub.id)
        self.python.until(lambda: replies)
        self.assertEqual((replies[0]["data"], replies[0]["in_reply_to_event"]), ({"from": "javascript"}, event["id"]))

    def test_javascript_asks_and_python_replies(self):
        self.python.listen(f"topic={self.topic}", reply={"from": "python"})
        self.javascript.tell(request=self.topic, data={"n": 1})
        reply = self.javascript.expect("reply", lambda: self.python.hub.wait(0.01))["reply"]
        self.assertEqual(reply["data"], {"from": "python"})
        self.assertEqual(reply["inReplyToEvent"], self.python.events[0]["id"])

    def test_a_target_picks_the_javascript_process(self):
        name = unique("sub")
        self.javascript.tell(subscribe=f"topic={self.topic}", subscriber={"id": name})
        self.javascript.expect("subscribed")
        self.python.listen(f"topic={self.topic}")
        self.python.publish(self.topic, {"n": 1}, target="id=nobody")
        self.python.publish(self.topic, {"n": 2}, target=f"id={name}")
        self.assertEqual(self.javascript.expect("event")["event"]["data"], {"n": 2})
        self.python.receive(0)

    def test_a_target_given_by_javascript(self):
        name = unique("sub")
        self.python.listen(f"topic={self.topic}", subscriber={"id": name, "place": "here"})
        for n, target in enumerate(("place=there", "place=here", f"id={name}")):
            self.javascript.tell(publish=self.topic, data={"n": n}, target=target)
        self.assertEqual([event["data"]["n"] for event in self.python.receive(2)], [1, 2])


class Updates(Case):
    """What the server tells about commits."""

    def setUp(self):
        super().setUp()
        self.listener = Listener(self)
        self.listener.listen("topic=ftrack.update")

    def changes(self, work, **arguments):
        """What is told about the commit of *work*: entities of this test's session only."""
        token = f"clients--{unique()}"
        with open_session(headers={"ftrack-Clienttoken": token, "ftrack-pushtoken": "push"}) as session:
            work(session)
            session.commit()
        mine = lambda: [event for event in self.listener.events if event["data"]["clientToken"] == token]
        self.listener.until(mine)
        (event,) = mine()
        self.assertEqual(event["source"]["clientToken"], token)
        self.assertEqual(event["source"]["applicationId"], "ftrack.api.server")
        self.assertEqual(event["source"]["user"]["username"], self.session.api_user)
        self.assertEqual(event["data"]["user"], {"userid": self.user["id"], "name": self.session.api_user})
        self.assertEqual(event["data"]["pushToken"], "push")
        return {entity["entityId"]: entity for entity in event["data"]["entities"]}

    def test_a_new_task(self):
        shot = self.create("Shot", name=unique("sh"), parent=self.project)
        made = []
        told = self.changes(lambda session: made.append(session.create("Task", {"name": "anim", "parent_id": shot["id"]})))
        entity = told[made[0]["id"]]
        self.assertEqual((entity["action"], entity["entityType"], entity["entity_type"]), ("add", "task", "Task"))
        self.assertEqual(entity["parentId"], shot["id"])
        self.assertEqual(entity["changes"]["name"], {"old": None, "new": "anim"})
        self.assertEqual(entity["changes"]["statusid"]["new"], made[0]["status_id"])
        self.assertEqual(sorted(entity["keys"]), sorted(entity["changes"]))
        self.assertEqual([parent["entityId"] for parent in entity["parents"]], [made[0]["id"], shot["id"], self.project["id"]])
        self.assertEqual([parent["entityType"] for parent in entity["parents"]], ["task", "task", "show"])

    def test_a_change_names_the_servers_columns_and_both_values(self):
        task = self.create("Task", name=unique(), parent=self.project, bid=60)
        before = task["status_id"]
        after = next(s for s in self.schema.get_statuses("Task") if s["id"] != before)

        def work(session):
            session.get("Task", task["id"]).update(status_id=after["id"], bid=120, description="told")

        entity = self.changes(work)[task["id"]]
        self.assertEqual((entity["action"], entity["entityType"], entity["objectTypeId"]), ("update", "task", task["object_type_id"]))
        self.assertEqual(entity["changes"]["statusid"], {"old": before, "new": after["id"]})
        self.assertEqual(entity["changes"]["bid"], {"old": 60, "new": 120})
        self.assertEqual(entity["changes"]["description"], {"old": "", "new": "told"})
        self.assertEqual(set(entity["keys"]), {"statusid", "bid", "description"})

    def test_what_does_not_change_is_not_told(self):
        task = self.create("Task", name=unique(), parent=self.project, bid=60)

        def work(session):
            session.call([{"action": "update", "entity_type": "Task", "entity_key": [task["id"]],
                           "entity_data": {"__entity_type__": "Task", "bid": 60, "description": "new"}}])

        self.assertEqual(self.changes(work)[task["id"]]["keys"], ["description"])

    def test_a_new_parent_is_a_move(self):
        shot = self.create("Shot", name=unique("sh"), parent=self.project)
        task = self.create("Task", name=unique(), parent=self.project)
        entity = self.changes(lambda session: session.get("Task", task["id"]).update(parent_id=shot["id"]))[task["id"]]
        self.assertEqual(entity["action"], "move")
        self.assertEqual(entity["changes"]["parent_id"], {"old": self.project["id"], "new": shot["id"]})

    def test_a_deletion_tells_of_everything_that_goes(self):
        shot = self.create("Shot", name=unique("sh"), parent=self.project)
        task = self.create("Task", name="anim", parent=shot)
        told = self.changes(lambda session: session.delete(session.get(shot.entity_type, shot["id"])))
        self.assertEqual({told[key]["action"] for key in (shot["id"], task["id"])}, {"remove"})
        self.assertEqual(told[task["id"]]["parents"][-1]["entityType"], "show")

    def test_a_custom_attribute_is_told_by_its_key(self):
        number = self.session.query('CustomAttributeType where name is "number"').one()
        key = unique("key").lower()
        self.delete_at_end(self.create("CustomAttributeConfiguration", key=key, label=key, type=number, entity_type="show",
                                       config="{}", core=False, project_id=self.project["id"]))

        def work(session):
            session.get("Project", self.project["id"])["custom_attributes"][key] = 25

        entity = self.changes(work)[self.project["id"]]
        self.assertEqual((entity["entityType"], entity["action"]), ("show", "update"))
        # Events have the values of custom attributes as texts.
        self.assertEqual(entity["changes"][key]["new"], "25")

    def test_versions_notes_and_assignments_have_their_own_names(self):
        asset = self.create("Asset", name=unique(), parent=self.project)
        task = self.create("Task", name=unique(), parent=self.project)

        def work(session):
            session.create("AssetVersion", {"asset_id": asset["id"]})
            session.create("Appointment", {"context_id": task["id"], "resource_id": self.user["id"], "type": "assignment"})
            session.get("Task", task["id"]).create_note("told", session.get("User", self.user["id"]))

        kinds = {entity["entityType"] for entity in self.changes(work).values()}
        self.assertLessEqual({"assetversion", "appointment", "note"}, kinds)

    def test_a_refused_commit_is_not_told(self):
        name = unique()
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.call([
                {"action": "create", "entity_type": "Folder", "entity_data": {"__entity_type__": "Folder", "name": name, "parent_id": self.project["id"]}},
                {"action": "create", "entity_type": "Folder", "entity_data": {"__entity_type__": "Folder", "name": name, "parent_id": self.project["id"]}},
            ])
        self.listener.settle()
        told = [entity for event in self.listener.events for entity in event["data"]["entities"]]
        self.assertFalse([entity for entity in told if (entity["changes"] or {}).get("name", {}).get("new") == name])

    def test_only_some_updates_can_be_subscribed_to(self):
        picky = Listener(self)
        picky.listen('topic=ftrack.update and source.user.username="nobody"')
        self.create("Folder", name=unique(), parent=self.project)
        self.listener.until(lambda: self.listener.events)
        picky.receive(0)


if __name__ == "__main__":
    unittest.main()
