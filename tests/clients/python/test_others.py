"""Programs of other people, on top of the Python client: they ask what it alone does not."""

import os
import threading
import time
import unittest

import ftrack_api

from support import Case, open_session, unique

try:
    import ftrack_query
    from ftrack_action_handler.action import BaseAction
except ImportError:  # only where the packages are not installed
    ftrack_query = None
    BaseAction = object


@unittest.skipIf(ftrack_query is None, "ftrack-query is not installed")
class FtrackQuery(Case):
    """ftrack-query builds statements by operators."""

    @classmethod
    def prepare(cls):
        cls.folder = cls.session.create("Folder", {"name": "queried", "parent": cls.project})
        for number in range(3):
            cls.session.create("Task", {"name": f"task {number}", "parent": cls.folder, "bid": number * 10.0})
        cls.session.commit()
        cls.query = ftrack_query.FTrackQuery(plugin_paths=[])
        cls.addClassCleanup(cls.query.close)

    def names(self, statement):
        return [task["name"] for task in self.query.execute(statement).all()]

    def tasks(self):
        return ftrack_query.select("Task").where(parent_id=self.folder["id"])

    def test_comparisons_and_combinations(self):
        attr, and_, or_, not_ = (getattr(ftrack_query, name) for name in ("attr", "and_", "or_", "not_"))
        cases = [
            (attr("bid") > 5, ["task 1", "task 2"]),
            (and_(attr("bid") >= 10, attr("bid") < 20), ["task 1"]),
            (or_(name="task 0", bid=20), ["task 0", "task 2"]),
            (not_(or_(attr("name") == "task 0")), ["task 1", "task 2"]),
            (~attr("name").like("%1"), ["task 0", "task 2"]),
            (attr("name").in_(["task 0", "task 1"]), ["task 0", "task 1"]),
            (attr("name").not_in(["task 0", "task 1"]), ["task 2"]),
            (attr("name").startswith("task"), ["task 0", "task 1", "task 2"]),
            (attr("parent").has(name="queried"), ["task 0", "task 1", "task 2"]),
            (attr("timelogs").any(), []),
            (attr("id").in_(ftrack_query.select("Task").where(name="task 2").subquery()), ["task 2"]),
        ]
        for criterion, expected in cases:
            with self.subTest(criterion=str(criterion)):
                self.assertEqual(self.names(self.tasks().where(criterion).sort("name")), expected)

    def test_order_pages_and_projections(self):
        statement = self.tasks().populate("name", "status.name").sort("name").offset(1).limit(1)
        self.assertEqual(self.names(statement), ["task 1"])

    def test_changes(self):
        create, update, delete = (getattr(ftrack_query, name) for name in ("create", "update", "delete"))
        name = unique("made")
        self.query.execute(create("Folder").values(name=name, parent_id=self.project["id"]))
        self.query.commit()
        changed = self.query.execute(update("Folder").where(name=name).values(description="changed"))
        self.query.commit()
        self.assertEqual(changed, 1)
        seen = self.other().query(f'select description from Folder where name is "{name}"').one()
        self.assertEqual(seen["description"], "changed")
        self.assertEqual(self.query.execute(delete("Folder").where(name=name)), 1)
        self.query.commit()
        self.assertEqual(len(self.session.query(f'Folder where name is "{name}"').all()), 0)


class Trackteroid(Case):
    """trackteroid reads the relations out of the schema, and asks for custom attributes by type."""

    @classmethod
    def setUpClass(cls):
        try:
            import trackteroid
        except ImportError as error:
            raise unittest.SkipTest("trackteroid is not installed") from error
        cls.trackteroid = trackteroid
        super().setUpClass()

    @classmethod
    def prepare(cls):
        cls.folder = cls.session.create("Folder", {"name": unique("tr"), "parent": cls.project})
        cls.task = cls.session.create("Task", {"name": "walk", "parent": cls.folder})
        cls.asset = cls.session.create("Asset", {"name": "model", "parent": cls.folder})
        for _ in range(2):
            cls.session.create("AssetVersion", {"asset": cls.asset, "task": cls.task})
        cls.session.commit()

    def test_a_query_with_projections(self):
        trackteroid = self.trackteroid
        found = trackteroid.Query(trackteroid.Task).by_id(self.task["id"]).get_one(
            projections=["name", "parent.name", "status.name"]
        )
        self.assertEqual(found.name[0], "walk")
        self.assertEqual(found.parent.name[0], self.folder["name"])

    def test_versions_of_an_asset(self):
        trackteroid = self.trackteroid
        found = trackteroid.Query(trackteroid.AssetVersion).by_id(trackteroid.Asset, self.asset["id"]).get_all(
            projections=["version", "asset.name"]
        )
        self.assertEqual(sorted(found.version), [1, 2])


@unittest.skipIf(BaseAction is object, "ftrack-action-handler is not installed")
class ActionHandler(Case):
    """The protocol of actions: discovery, a form, the launch, and what the user is told."""

    def test_an_action_is_discovered_asks_and_runs(self):
        seen = []

        class Action(BaseAction):
            label = "Count"
            identifier = unique("count")

            def discover(self, session, entities, event):
                return len(entities) == 1

            def interface(self, session, entities, event):
                if not event["data"].get("values"):
                    return [{"type": "text", "name": "word", "label": "Word", "value": "x"}]

            def launch(self, session, entities, event):
                seen.append((entities, event["data"]["values"]))
                return {"success": True, "message": "counted"}

        handling = open_session(auto_connect_event_hub=True)
        self.addCleanup(handling.close)
        action = Action(handling)
        action.register()
        stop = threading.Event()

        def serve():
            while not stop.is_set():
                handling.event_hub.wait(0.05)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        self.addCleanup(server.join)
        self.addCleanup(stop.set)
        asking = open_session(auto_connect_event_hub=True)
        self.addCleanup(asking.close)
        time.sleep(0.5)
        selection = [{"entityId": self.project["id"], "entityType": "show"}]

        def ask(topic, **data):
            replies = []
            event = ftrack_api.event.base.Event(topic, data={"selection": selection, **data})
            asking.event_hub.publish(event, on_reply=replies.append)
            end = time.monotonic() + 20
            while not replies and time.monotonic() < end:
                asking.event_hub.wait(0.05)
            self.assertTrue(replies, topic)
            return replies[0]["data"]

        items = ask("ftrack.action.discover")["items"]
        self.assertEqual(items[0]["actionIdentifier"], Action.identifier)
        form = ask("ftrack.action.launch", actionIdentifier=Action.identifier)
        self.assertEqual(form["items"][0]["name"], "word")
        told = ask("ftrack.action.launch", actionIdentifier=Action.identifier, values={"word": "y"})
        self.assertEqual(told, {"success": True, "message": "counted"})
        self.assertEqual(seen, [([("Project", self.project["id"])], {"word": "y"})])


class UpdateHandlers(Case):
    """What handlers of AYON expect of `ftrack.update`: they parse texts, by the attribute's type."""

    def parse(self, kind, config, text):
        """As those handlers do; anything but a text fails here."""
        self.assertIsInstance(text, str)
        if kind == "boolean":
            return {"1": True, "0": False}[text]
        if kind == "number":
            number = float(text)
            return number if config["isdecimal"] else int(number)
        if kind == "enumerator":
            return text.split(", ") if config["multiSelect"] else text
        if kind == "date":
            return ftrack_api.session.arrow.get(text).format("YYYY-MM-DDTHH:mm:ss")
        return text

    def test_changes_of_custom_attributes_are_texts(self):
        import json

        menu = json.dumps([{"menu": word, "value": word} for word in ("a", "b")])
        cases = [
            ("boolean", {}, True, True),
            ("number", {"isdecimal": False}, 256, 256),
            ("number", {"isdecimal": True}, 24.5, 24.5),
            ("enumerator", {"multiSelect": True, "data": menu}, ["a", "b"], ["a", "b"]),
            ("text", {"markdown": False}, "word", "word"),
            ("date", {}, ftrack_api.session.arrow.get("2024-10-29T22:00:00"), "2024-10-29T22:00:00"),
        ]
        kinds = {kind["name"]: kind for kind in self.session.query("select name from CustomAttributeType")}
        listening = open_session(auto_connect_event_hub=True)
        self.addCleanup(listening.close)
        events = []
        listening.event_hub.subscribe("topic=ftrack.update", events.append)
        time.sleep(0.5)
        for kind, config, value, expected in cases:
            with self.subTest(kind=kind, config=config):
                key = unique("key").lower()
                self.delete_at_end(
                    self.create(
                        "CustomAttributeConfiguration",
                        key=key,
                        label=key,
                        type=kinds[kind],
                        entity_type="show",
                        config=json.dumps(config),
                        core=False,
                        default=None,
                        is_hierarchical=False,
                        project_id=self.project["id"],
                    )
                )
                session = self.other()
                project = session.get("Project", self.project["id"])
                project["custom_attributes"][key] = value
                session.commit()
                end = time.monotonic() + 20
                found = None
                while found is None and time.monotonic() < end:
                    listening.event_hub.wait(0.05)
                    for event in events:
                        for entity in event["data"]["entities"]:
                            found = entity["changes"].get(key, found)
                self.assertIsNotNone(found, key)
                self.assertEqual(self.parse(kind, config, found["new"]), expected)


if __name__ == "__main__":
    unittest.main()
