"""Creating, changing and deleting: what one session commits, another one sees."""

import datetime
import unittest
import uuid

import arrow
import ftrack_api

import support
from support import Case, unique


class Creating(Case):
    def test_contexts_of_every_kind(self):
        created = {}
        for name in ("Folder", "Episode", "Sequence", "Shot", "AssetBuild", "Milestone", "Task"):
            kind = self.kind(name)
            created[kind] = self.session.create(kind, {"name": f"a {kind}", "parent": self.project})
        self.session.commit()
        for kind, entity in created.items():
            seen = self.again(entity)
            self.assertEqual(seen.entity_type, kind)
            self.assertEqual((seen["name"], seen["parent_id"]), (f"a {kind}", self.project["id"]))
            self.assertEqual(seen["project_id"], self.project["id"])
            self.assertEqual(seen["context_type"], "task")
            self.assertEqual(seen["object_type"]["id"], self.session.types[kind].attributes.get("object_type_id").default_value)
        self.assertEqual(self.again(self.project)["context_type"], "show")

    def test_the_client_makes_the_key_and_the_server_keeps_it(self):
        folder = self.session.create("Folder", {"name": unique(), "parent": self.project})
        key = folder["id"]
        self.assertEqual(str(uuid.UUID(key)), key)
        self.session.commit()
        self.assertEqual(self.again(folder)["id"], key)

    def test_a_key_of_ones_own_is_kept(self):
        key = str(uuid.uuid4())
        self.create("Folder", id=key, name=unique(), parent=self.project)
        self.assertIsNotNone(self.other().get("Folder", key))

    def test_a_whole_tree_in_one_commit(self):
        before = len(self.session.requests)
        sequence = self.session.create("Sequence", {"name": unique(), "parent": self.project})
        for shot_name in ("010", "020"):
            shot = self.session.create("Shot", {"name": shot_name, "parent": sequence})
            for task_name in ("anim", "comp", "light"):
                self.session.create("Task", {"name": task_name, "parent": shot})
        self.session.commit()
        self.assertEqual(len(self.session.requests) - before, 1)
        seen = self.other().query(
            f'select name, parent.name, link from Task where ancestors.id is "{sequence["id"]}" order by parent.name, name'
        ).all()
        self.assertEqual(
            [(task["parent"]["name"], task["name"]) for task in seen],
            [(shot, task) for shot in ("010", "020") for task in ("anim", "comp", "light")],
        )

    def test_link_names_the_way_from_the_project(self):
        shot = self.create("Shot", name=unique("sh"), parent=self.project)
        task = self.create("Task", name="anim", parent=shot)
        link = self.again(task)["link"]
        self.assertEqual([step["id"] for step in link], [self.project["id"], shot["id"], task["id"]])
        self.assertEqual([step["type"] for step in link], ["Project", "TypedContext", "TypedContext"])
        self.assertEqual([step["name"] for step in link], [self.project["full_name"], shot["name"], "anim"])

    def test_defaults_come_from_the_server(self):
        task = self.again(self.create("Task", name=unique(), parent=self.project))
        self.assertEqual((task["bid"], task["description"], task["time_logged"]), (0, "", 0))
        self.assertIn(task["status"], self.schema.get_statuses("Task"))
        self.assertIn(task["type"], self.schema.get_types("Task"))
        self.assertEqual(task["priority_id"], self.session.types["Task"].attributes.get("priority_id").default_value)
        self.assertEqual(task["created_by"]["username"], self.session.api_user)
        self.assertLess(abs((arrow.utcnow() - task["created_at"]).total_seconds()), 3600)

    def test_texts_come_back_as_they_were(self):
        texts = (
            "", " ", "plain", 'double "quotes"', "single 'quotes'", "back\\slash \\\"", "line\nbreak\r\n\ttab",
            "ünïcödé Ω 漢字 \U0001f600", "<b>&amp;</b>", "%s %d {0} {name}", "'; DROP TABLE context; --", "null", "None",
            "x" * 20000, "\u202eright to left", "a\u0301 e\u0301",
        )
        tasks = [self.session.create("Task", {"name": f"text {n}", "parent": self.project, "description": text})
                 for n, text in enumerate(texts)]
        self.session.commit()
        session = self.other()
        for task, text in zip(tasks, texts):
            with self.subTest(text=text[:20]):
                self.assertEqual(self.again(task, session)["description"], text)

    def test_numbers_come_back_as_they_were(self):
        bids = (0, 1, 0.5, 1e-3, 123456789.25, -4.0, 2**31)
        tasks = [self.session.create("Task", {"name": f"bid {n}", "parent": self.project, "bid": bid})
                 for n, bid in enumerate(bids)]
        self.session.commit()
        session = self.other()
        self.assertEqual([self.again(task, session)["bid"] for task in tasks], list(bids))

    def test_dates_keep_whole_seconds_and_the_instant(self):
        given = arrow.get("2026-03-04T05:06:07.891234+02:00")
        task = self.create("Task", name=unique(), parent=self.project, start_date=given,
                           end_date=datetime.datetime(2026, 12, 24, 18, 30))
        seen = self.again(task)
        self.assertEqual(seen["start_date"], arrow.get("2026-03-04T03:06:07+00:00"))
        self.assertEqual(seen["end_date"], arrow.get("2026-12-24T18:30:00+00:00"))
        self.assertEqual(seen["start_date"].microsecond, 0)

    def test_booleans_and_nulls(self):
        project = self.again(self.project)
        self.assertIs(project["is_private"], False)
        self.assertIs(project["is_global"], False)
        self.assertIsNone(project["thumbnail"])
        self.project["is_private"] = True
        self.session.commit()
        self.assertIs(self.again(self.project)["is_private"], True)
        self.project["is_private"] = False
        self.session.commit()
        self.assertIs(self.again(self.project)["is_private"], False)

    def test_users_without_a_username_in_any_number(self):
        users = [self.delete_at_end(self.session.create("User", {"first_name": "No", "last_name": "Name"})) for _ in range(2)]
        self.session.commit()
        for user in users:
            seen = self.again(user)
            self.assertEqual((seen["username"], seen["first_name"], seen["is_active"]), (None, "No", False))

    def test_a_username_is_taken_once_only(self):
        name = unique("user")
        self.delete_at_end(self.create("User", username=name))
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.create("User", username=name.upper())
        self.session.rollback()
        self.assertEqual(len(self.other().query(f"User where username is {name}").all()), 1)

    def test_a_name_is_taken_once_per_parent_whatever_its_case(self):
        name = unique("Twin")
        self.create("Shot", name=name, parent=self.project)
        with self.assertRaises(ftrack_api.exception.ServerError) as caught:
            self.create("Shot", name=name.upper(), parent=self.project)
        self.assertIn("IntegrityError", str(caught.exception))
        self.session.rollback()
        elsewhere = self.create("Sequence", name=unique(), parent=self.project)
        self.create("Shot", name=name, parent=elsewhere)

    def test_asset_names_may_repeat(self):
        for _ in range(2):
            self.create("Asset", name="model", parent=self.project)
        self.assertEqual(len(self.other().query(f'Asset where context_id is "{self.project["id"]}" and name is model').all()), 2)

    def test_what_is_required_must_be_given(self):
        for entity_type, data in (("Appointment", {}), ("ReviewSession", {}), ("TypedContextLink", {})):
            with self.subTest(entity_type=entity_type):
                with self.assertRaises(ftrack_api.exception.ServerError):
                    self.create(entity_type, **data)
                self.session.recorded_operations.clear()

    def test_an_entity_may_be_completed_later_in_the_same_commit(self):
        appointment = self.session.create("Appointment", {"type": "assignment"})
        task = self.session.create("Task", {"name": unique(), "parent": self.project})
        appointment["context"] = task
        appointment["resource"] = self.user
        self.session.commit()
        self.assertEqual(self.again(appointment)["resource"]["username"], self.session.api_user)


class Versions(Case):
    def test_numbers_count_up_within_the_asset(self):
        first, second = (self.create("Asset", name=f"a{n}", parent=self.project) for n in range(2))
        versions = [self.create("AssetVersion", asset=asset) for asset in (first, first, second, first)]
        self.assertEqual([self.again(version)["version"] for version in versions], [1, 2, 1, 3])
        self.assertEqual([self.again(version)["is_latest_version"] for version in versions], [False, False, True, True])
        self.assertEqual(self.again(first)["latest_version"]["version"], 3)

    def test_defaults_of_a_version(self):
        asset = self.create("Asset", name=unique(), parent=self.project)
        version = self.again(self.create("AssetVersion", asset=asset))
        self.assertEqual(version["user"]["username"], self.session.api_user)
        self.assertLess(abs((arrow.utcnow() - version["date"]).total_seconds()), 3600)
        self.assertIn(version["status"], self.schema.get_statuses("AssetVersion"))
        self.assertIs(version["is_published"], True)
        self.assertEqual(version["comment"], "")

    def test_a_number_of_ones_own_also_zero(self):
        asset = self.create("Asset", name=unique(), parent=self.project)
        versions = [self.create("AssetVersion", asset=asset, version=number) for number in (7, "0")]
        self.assertEqual([self.again(version)["version"] for version in versions], [7, 0])
        self.assertEqual(self.again(self.create("AssetVersion", asset=asset))["version"], 8)

    def test_the_link_of_a_version_starts_at_the_project(self):
        shot = self.create("Shot", name=unique(), parent=self.project)
        asset = self.create("Asset", name="plate", parent=shot)
        version = self.create("AssetVersion", asset=asset)
        ids = [step["id"] for step in self.again(version)["link"]]
        self.assertEqual(ids, [self.project["id"], shot["id"], version["id"]])

    def test_dependencies_between_versions(self):
        asset = self.create("Asset", name=unique(), parent=self.project)
        one, two, three = (self.create("AssetVersion", asset=asset) for _ in range(3))
        three["uses_versions"] = [one, two]
        self.session.commit()
        session = self.other()
        self.assertEqual({v["id"] for v in self.again(three, session)["uses_versions"]}, {one["id"], two["id"]})
        self.assertEqual([v["id"] for v in self.again(one, session)["used_in_versions"]], [three["id"]])

    def test_a_version_without_an_asset_is_refused(self):
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.create("AssetVersion", comment="lost")
        self.session.recorded_operations.clear()


class Changing(Case):
    @classmethod
    def prepare(cls):
        cls.shot = cls.session.create("Shot", {"name": "sh", "parent": cls.project})
        cls.task = cls.session.create("Task", {"name": "anim", "parent": cls.shot, "bid": 60})
        cls.session.commit()

    def test_scalars(self):
        self.task["description"] = "new"
        self.task["bid"] = 7.25
        self.assertEqual(len(self.session.modified), 1)
        self.session.commit()
        self.assertEqual(len(self.session.modified), 0)
        seen = self.again(self.task)
        self.assertEqual((seen["description"], seen["bid"]), ("new", 7.25))

    def test_references(self):
        for status in self.schema.get_statuses("Task"):
            self.task["status"] = status
            self.session.commit()
            seen = self.again(self.task)
            self.assertEqual((seen["status"]["id"], seen["status_id"]), (status["id"], status["id"]))

    def test_a_reference_by_its_key(self):
        status = self.schema.get_statuses("Task")[-1]
        self.task["status_id"] = status["id"]
        self.session.commit()
        self.assertEqual(self.again(self.task)["status"]["name"], status["name"])

    def test_status_changes_are_recorded(self):
        task = self.create("Task", name=unique(), parent=self.shot)
        first, second = self.schema.get_statuses("Task")[:2]
        for status in (first, second):
            task["status"] = status
            self.session.commit()
        changes = self.other().query(
            "select from_status.name, status.name, user.username from StatusChange "
            f'where parent_id is "{task["id"]}" order by date'
        ).all()
        self.assertIn((first["name"], second["name"]), [(c["from_status"] and c["from_status"]["name"], c["status"]["name"]) for c in changes])
        self.assertEqual(changes[-1]["user"]["username"], self.session.api_user)

    def test_a_new_parent(self):
        elsewhere = self.create("Sequence", name=unique(), parent=self.project)
        task = self.create("Task", name="moved", parent=self.shot)
        task["parent"] = elsewhere
        self.session.commit()
        seen = self.again(task)
        self.assertEqual(seen["parent"]["id"], elsewhere["id"])
        self.assertEqual([step["id"] for step in seen["link"]], [self.project["id"], elsewhere["id"], task["id"]])

    def test_only_the_last_value_counts_and_one_request_is_sent(self):
        before = len(self.session.requests)
        for text in ("a", "b", "c"):
            self.task["description"] = text
        self.session.commit()
        self.assertEqual(len(self.session.requests) - before, 1)
        self.assertEqual(self.again(self.task)["description"], "c")

    def test_null(self):
        self.task["start_date"] = arrow.get("2026-01-01")
        self.session.commit()
        self.task["start_date"] = None
        self.session.commit()
        self.assertIsNone(self.again(self.task)["start_date"])

    def test_an_immutable_attribute_cannot_be_set(self):
        with self.assertRaises(ftrack_api.exception.ImmutableAttributeError):
            self.task["id"] = "x"

    def test_rollback_forgets(self):
        value = self.task["description"]
        self.task["description"] = "never"
        draft = self.session.create("Task", {"name": "draft", "parent": self.shot})
        self.session.delete(self.shot)
        self.session.rollback()
        self.assertEqual(self.task["description"], value)
        self.assertEqual(len(self.session.recorded_operations), 0)
        self.assertIsNone(self.again(draft))
        self.assertIsNotNone(self.again(self.shot))

    def test_a_refused_commit_changes_nothing_and_can_be_repaired(self):
        shot = self.create("Shot", name=unique(), parent=self.project)
        taken = self.create("Shot", name=unique(), parent=self.project)
        shot["description"] = "half"
        twin = self.session.create("Shot", {"name": taken["name"], "parent": self.project})
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.commit()
        self.assertNotEqual(self.again(shot)["description"], "half")
        twin["name"] = unique()
        self.session.commit()
        self.assertEqual(self.again(shot)["description"], "half")
        self.assertEqual(self.again(twin)["name"], twin["name"])

    def test_wrong_types_are_refused(self):
        for attribute, value in (("bid", "much"), ("start_date", "tomorrow"), ("status_id", "nobody"), ("parent_id", "nobody")):
            with self.subTest(attribute=attribute):
                operation = {"action": "update", "entity_type": "Task", "entity_key": [self.task["id"]],
                             "entity_data": {"__entity_type__": "Task", attribute: value}}
                with self.assertRaises(ftrack_api.exception.ServerError):
                    self.session.call([operation])

    def test_recording_can_be_switched_off(self):
        with self.session.operation_recording(False):
            self.task["description"] = "unrecorded"
        self.assertEqual(len(self.session.recorded_operations), 0)
        self.session.rollback()

    def test_values_are_fetched_when_they_are_missing(self):
        session = self.other()
        task = session.query(f'select id from Task where id is "{self.task["id"]}"').one()
        before = len(session.requests)
        self.assertEqual(task["name"], "anim")
        self.assertEqual(len(session.requests) - before, 1)
        with session.auto_populating(False):
            self.assertIs(task["sort"], ftrack_api.symbol.NOT_SET)
        self.assertEqual(len(session.requests) - before, 1)

    def test_populate_fetches_for_many_at_once(self):
        for n in range(5):
            self.session.create("Task", {"name": f"populate {n}", "parent": self.shot, "bid": n})
        self.session.commit()
        session = self.other()
        tasks = session.query(f'select id from Task where parent_id is "{self.shot["id"]}" and name like "populate%"').all()
        before = len(session.requests)
        session.populate(tasks, "name, bid, status.name, parent.name")
        self.assertEqual(len(session.requests) - before, 1)
        self.assertEqual(sorted((t["name"], t["bid"]) for t in tasks), [(f"populate {n}", n) for n in range(5)])
        self.assertEqual({t["parent"]["name"] for t in tasks}, {"sh"})
        self.assertEqual(len(session.requests) - before, 1)

    def test_populate_with_composite_keys(self):
        self.task["metadata"] = {"one": "1", "two": "2"}
        self.session.commit()
        session = self.other()
        rows = session.query(f'select key from Metadata where parent_id is "{self.task["id"]}"').all()
        session.populate(rows, "value, parent_type")
        self.assertEqual({(row["key"], row["value"], row["parent_type"]) for row in rows}, {("one", "1", "Task"), ("two", "2", "Task")})

    def test_get_asks_only_once(self):
        session = self.other()
        first = session.get("Task", self.task["id"])
        before = len(session.requests)
        self.assertIs(session.get("Task", self.task["id"]), first)
        self.assertEqual(len(session.requests), before)

    def test_reset_forgets_what_was_read(self):
        session = self.other()
        session.get("Task", self.task["id"])
        session.reset()
        before = len(session.requests)
        self.assertEqual(session.get("Task", self.task["id"])["name"], "anim")
        self.assertGreater(len(session.requests), before)


class Deleting(Case):
    def test_what_hangs_below_goes_too(self):
        shot = self.session.create("Shot", {"name": unique(), "parent": self.project})
        task = self.session.create("Task", {"name": "anim", "parent": shot})
        asset = self.session.create("Asset", {"name": "plate", "parent": shot})
        version = self.session.create("AssetVersion", {"asset": asset, "task": task})
        component = self.session.create("FileComponent", {"name": "main", "version": version})
        note = task.create_note("bye", self.user)
        task["metadata"]["k"] = "v"
        timelog = self.session.create("Timelog", {"context": task, "user": self.user, "duration": 5, "start": arrow.utcnow()})
        appointment = self.session.create("Appointment", {"context": task, "resource": self.user, "type": "assignment"})
        self.session.commit()
        self.session.delete(shot)
        self.session.commit()
        for entity in (shot, task, asset, version, component, note, timelog, appointment):
            with self.subTest(entity=entity.entity_type):
                self.assertIsNone(self.again(entity))
        self.assertEqual(self.other().query(f'Metadata where parent_id is "{task["id"]}"').all(), [])

    def test_deleting_what_is_gone_is_no_error(self):
        folder = self.create("Folder", name=unique(), parent=self.project)
        twin = self.again(folder, other := self.other())
        self.session.delete(folder)
        self.session.commit()
        other.delete(twin)
        other.commit()
        self.assertIsNone(self.again(folder))

    def test_created_and_deleted_before_the_commit_is_never_sent(self):
        before = len(self.session.requests)
        self.session.delete(self.session.create("Folder", {"name": unique(), "parent": self.project}))
        self.session.commit()
        self.assertEqual(len(self.session.requests), before)

    def test_an_entity_may_be_deleted_by_the_name_of_its_base(self):
        component = self.create("FileComponent", name="x")
        self.session.call([{"action": "delete", "entity_type": "Component", "entity_key": [component["id"]]}])
        self.assertIsNone(self.again(component))

    def test_a_deleted_name_is_free_again(self):
        name = unique()
        self.session.delete(self.create("Shot", name=name, parent=self.project))
        self.session.commit()
        self.create("Shot", name=name, parent=self.project)


class Ensuring(Case):
    def test_creates_then_finds_then_changes(self):
        name = unique("ensured")
        created = self.delete_at_end(self.session.ensure("User", {"username": name}))
        before = len(self.session.requests)
        self.assertEqual(self.session.ensure("User", {"username": name}), created)
        self.assertNotIn("create", [o["action"] for request in self.session.requests[before:] for o in request])
        changed = self.session.ensure("User", {"username": name, "email": f"{name}@example.com"}, ["username"])
        self.assertEqual(changed, created)
        self.assertEqual(self.again(created)["email"], f"{name}@example.com")

    def test_several_matches_are_an_error(self):
        for _ in range(2):
            self.create("Asset", name="ensured", parent=self.project)
        with self.assertRaises(ftrack_api.exception.MultipleResultsFoundError):
            self.session.ensure("Asset", {"name": "ensured", "context_id": self.project["id"]})

    def test_by_date_number_and_boolean(self):
        data = {"name": unique(), "start": arrow.get("2026-04-05T06:07:08.9"), "end": arrow.get("2026-04-06T00:00:00"),
                "project_id": self.project["id"], "leave": False}
        created = self.session.ensure("CalendarEvent", data)
        self.assertEqual(self.other().ensure("CalendarEvent", data, ["name", "start", "leave"])["id"], created["id"])


class Collections(Case):
    @classmethod
    def prepare(cls):
        cls.task = cls.session.create("Task", {"name": "anim", "parent": cls.project})
        cls.session.commit()

    def test_metadata_as_a_dictionary(self):
        task = self.create("Task", name=unique(), parent=self.project)
        task["metadata"] = {"shot type": "wide", "ünï": "漢字", "quote\"'": "\\", "empty": ""}
        self.session.commit()
        self.assertEqual(dict(self.again(task)["metadata"]), {"shot type": "wide", "ünï": "漢字", "quote\"'": "\\", "empty": ""})
        task["metadata"]["shot type"] = "close"
        del task["metadata"]["empty"]
        task["metadata"]["more"] = "1"
        self.session.commit()
        self.assertEqual(dict(self.again(task)["metadata"]), {"shot type": "close", "ünï": "漢字", "quote\"'": "\\", "more": "1"})
        self.assertEqual(self.names(f'select key from Metadata where parent_id is "{task["id"]}" and value is close', "key"), ["shot type"])

    def test_metadata_on_many_kinds(self):
        asset = self.session.create("Asset", {"name": unique(), "parent": self.project})
        owners = [
            self.project, asset, self.session.create("AssetVersion", {"asset": asset}),
            self.session.create("FileComponent", {"name": "c"}), self.task.create_note("n", self.user),
        ]
        for owner in owners:
            owner["metadata"]["kind"] = owner.entity_type
        self.session.commit()
        for owner in owners:
            self.assertEqual(self.again(owner)["metadata"]["kind"], owner.entity_type)
        self.session.delete(owners[3])
        del self.project["metadata"]["kind"]
        self.session.commit()

    def test_two_sessions_write_metadata_of_one_entity(self):
        task = self.create("Task", name=unique(), parent=self.project)
        other = self.other()
        twin = self.again(task, other)
        task["metadata"]["mine"] = "1"
        self.session.commit()
        twin["metadata"]["theirs"] = "2"
        other.commit()
        self.assertEqual(dict(self.again(task)["metadata"]), {"mine": "1", "theirs": "2"})

    def test_scopes_are_replaced_as_a_set(self):
        one, two = (self.delete_at_end(self.session.create("Scope", {"name": unique("scope")})) for _ in range(2))
        self.task["scopes"].append(one)
        self.session.commit()
        self.assertEqual([s["name"] for s in self.again(self.task)["scopes"]], [one["name"]])
        self.task["scopes"] = [two]
        self.session.commit()
        self.assertEqual([s["name"] for s in self.again(self.task)["scopes"]], [two["name"]])
        self.assertEqual(self.names(f'Task where scopes.name is "{two["name"]}"', "id"), [self.task["id"]])
        self.task["scopes"].remove(two)
        self.session.commit()
        self.assertEqual(len(self.again(self.task)["scopes"]), 0)

    def test_children_and_descendants(self):
        sequence = self.create("Sequence", name=unique(), parent=self.project)
        shot = self.create("Shot", name="010", parent=sequence)
        task = self.create("Task", name="anim", parent=shot)
        seen = self.again(sequence)
        self.assertEqual([child["id"] for child in seen["children"]], [shot["id"]])
        self.assertEqual({child["id"] for child in seen["descendants"]}, {shot["id"], task["id"]})
        self.assertEqual({parent["id"] for parent in self.again(task)["ancestors"]}, {sequence["id"], shot["id"]})

    def test_lists_of_contexts_and_of_versions(self):
        category = self.session.query("ListCategory").first()
        asset = self.create("Asset", name=unique(), parent=self.project)
        versions = [self.create("AssetVersion", asset=asset) for _ in range(3)]
        shots = [self.create("Shot", name=unique(), parent=self.project) for _ in range(2)]
        for kind, items in (("AssetVersionList", versions), ("TypedContextList", shots)):
            created = self.create(kind, name=unique(), project=self.project, category=category, owner=self.user, is_open=False)
            created["items"].extend(items)
            self.session.commit()
            seen = self.again(created)
            self.assertEqual({item["id"] for item in seen["items"]}, {item["id"] for item in items})
            self.assertIs(seen["is_open"], False)
            self.assertEqual(seen["owner"]["username"], self.session.api_user)
            self.assertEqual([found.entity_type for found in self.session.query(f'List where id is "{created["id"]}"')], [kind])
            self.assertEqual([each["id"] for each in self.again(items[0])["lists"]], [created["id"]])
            created["items"].remove(items[0])
            self.session.commit()
            self.assertEqual({item["id"] for item in self.again(created)["items"]}, {item["id"] for item in items[1:]})

    def test_assignments_and_allocations(self):
        task = self.create("Task", name=unique(), parent=self.project)
        group = self.delete_at_end(self.create("Group", name=unique("group")))
        self.session.create("Appointment", {"context": task, "resource": self.user, "type": "assignment"})
        self.session.create("Appointment", {"context": task, "resource": group, "type": "allocation"})
        self.session.commit()
        seen = self.again(task)
        self.assertEqual([a["resource"].entity_type for a in seen["assignments"]], ["User"])
        self.assertEqual([a["resource"].entity_type for a in seen["allocations"]], ["Group"])
        self.assertEqual(len(seen["appointments"]), 2)
        self.assertEqual(self.names(f'select name from Task where assignments any (resource.username is "{self.session.api_user}") and id is "{task["id"]}"'), [task["name"]])

    def test_memberships(self):
        group = self.delete_at_end(self.create("Group", name=unique("group")))
        child = self.delete_at_end(self.create("Group", name=unique("group"), parent=group))
        user = self.delete_at_end(self.create("User", username=unique("user")))
        self.create("Membership", group=child, user=user)
        seen = self.again(user)
        self.assertEqual([m["group"]["name"] for m in seen["memberships"]], [child["name"]])
        self.assertEqual(self.again(child)["parent"]["id"], group["id"])
        self.assertEqual([step["name"] for step in self.again(child)["link"]], [group["name"], child["name"]])

    def test_links_between_contexts(self):
        one, two = (self.create("Task", name=unique(), parent=self.project) for _ in range(2))
        link = self.create("TypedContextLink", **{"from": one, "to": two})
        self.assertEqual([each["to"]["id"] for each in self.again(one)["outgoing_links"]], [two["id"]])
        self.assertEqual([each["from"]["id"] for each in self.again(two)["incoming_links"]], [one["id"]])
        link["metadata"]["lag"] = "3"
        self.session.commit()
        self.assertEqual(dict(self.again(link)["metadata"]), {"lag": "3"})

    def test_managers(self):
        kind = self.session.query("ManagerType").first()
        if kind is None:
            self.skipTest("the site has no types of managers")
        manager = self.create("Manager", context=self.task, user=self.user, type=kind)
        self.assertEqual([each["user"]["id"] for each in self.again(self.task)["managers"]], [self.user["id"]])
        self.session.delete(manager)
        self.session.commit()

    def test_calendar_events_with_resources(self):
        event = self.create("CalendarEvent", name="leave", project=self.project, start=arrow.get("2026-07-01"),
                            end=arrow.get("2026-07-15"), leave=True, type_id=self.session.query("Type").first()["id"])
        self.create("CalendarEventResource", calendar_event=event, resource=self.user)
        seen = self.again(event)
        self.assertEqual([each["resource"]["id"] for each in seen["calendar_event_resources"]], [self.user["id"]])
        self.assertEqual((seen["start"], seen["end"]), (arrow.get("2026-07-01"), arrow.get("2026-07-15")))
        self.assertEqual([each["id"] for each in self.again(self.project)["calendar_events"]], [event["id"]])


if __name__ == "__main__":
    unittest.main()
