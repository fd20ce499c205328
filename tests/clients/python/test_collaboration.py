"""Notes, timers, workflow helpers, review sessions, jobs, accounts and widgets."""

import json
import time
import unittest

import arrow
import ftrack_api
import requests

from support import Case, open_session, unique, wait_until


class Notes(Case):
    @classmethod
    def prepare(cls):
        cls.task = cls.session.create("Task", {"name": "anim", "parent": cls.project})
        cls.session.commit()

    def labels(self):
        labels = [self.delete_at_end(self.session.create("NoteLabel", {"name": unique("label"), "color": "#ff0000"})) for _ in range(2)]
        self.session.commit()
        return labels

    def test_a_note_with_its_author_and_date(self):
        note = self.task.create_note("Good \"start\" \U0001f44d\nsecond line", self.user)
        self.session.commit()
        seen = self.again(note)
        self.assertEqual(seen["content"], "Good \"start\" \U0001f44d\nsecond line")
        self.assertEqual(seen["author"]["id"], self.user["id"])
        self.assertEqual((seen["parent_id"], seen["parent_type"]), (self.task["id"], "Task"))
        self.assertLess(abs((arrow.utcnow() - seen["date"]).total_seconds()), 3600)
        self.assertIn(note["id"], [each["id"] for each in self.again(self.task)["notes"]])

    def test_the_api_user_and_the_named_ones_are_recipients(self):
        users = [self.delete_at_end(self.create("User", username=unique("user"))) for _ in range(2)]
        group = self.delete_at_end(self.create("Group", name=unique("group")))
        note = self.task.create_note("to you", self.user, recipients=[*users, group])
        self.session.commit()
        resources = {each["resource_id"] for each in self.again(note)["recipients"]}
        self.assertEqual(resources, {users[0]["id"], users[1]["id"], group["id"], self.user["id"]})

    def test_labels(self):
        labels = self.labels()
        note = self.task.create_note("labelled", self.user, labels=labels)
        self.session.commit()
        seen = self.again(note)
        self.assertEqual({link["label"]["name"] for link in seen["note_label_links"]}, {label["name"] for label in labels})
        found = self.names(f'select content from Note where note_label_links.label.name is "{labels[0]["name"]}"', "content")
        self.assertEqual(found, ["labelled"])

    def test_a_category_is_a_label(self):
        label = self.labels()[0]
        category = self.other().get("NoteCategory", label["id"])
        self.assertEqual(category["name"], label["name"])
        note = self.task.create_note("categorised", self.user, category=category)
        self.session.commit()
        self.assertEqual(self.again(note)["category"]["id"], label["id"])

    def test_replies_stay_out_of_the_notes_of_the_parent(self):
        note = self.task.create_note("question", self.user)
        self.session.commit()
        replies = [note.create_reply(text, self.user) for text in ("first", "second")]
        self.session.commit()
        seen = self.again(note)
        self.assertEqual({reply["content"] for reply in seen["replies"]}, {"first", "second"})
        self.assertEqual(self.again(replies[0])["in_reply_to"]["id"], note["id"])
        notes = {each["id"] for each in self.again(self.task)["notes"]}
        self.assertIn(note["id"], notes)
        self.assertFalse(notes & {reply["id"] for reply in replies})

    def test_notes_on_versions_projects_and_review_objects(self):
        asset = self.create("Asset", name=unique(), parent=self.project)
        version = self.create("AssetVersion", asset=asset)
        for owner in (version, self.project):
            note = owner.create_note("here", self.user)
            self.session.commit()
            self.assertEqual(self.again(note)["parent_type"], owner.entity_type)
            self.assertEqual([each["content"] for each in self.again(owner)["notes"]], ["here"])

    def test_to_dos_are_completed(self):
        note = self.task.create_note("do it", self.user)
        note["is_todo"] = True
        self.session.commit()
        note["completed_at"] = arrow.get("2026-05-06T07:08:09")
        note["completed_by"] = self.user
        self.session.commit()
        seen = self.again(note)
        self.assertEqual((seen["is_todo"], seen["completed_at"], seen["completed_by"]["id"]),
                         (True, arrow.get("2026-05-06T07:08:09"), self.user["id"]))

    def test_components_attached_to_a_note(self):
        note = self.task.create_note("see file", self.user)
        component = self.delete_at_end(self.session.create("FileComponent", {"name": "attachment"}))
        self.session.create("NoteComponent", {"component_id": component["id"], "note_id": note["id"]})
        self.session.commit()
        self.assertEqual([each["component"]["name"] for each in self.again(note)["note_components"]], ["attachment"])


class Timers(Case):
    @classmethod
    def prepare(cls):
        cls.task = cls.session.create("Task", {"name": "anim", "parent": cls.project, "bid": 10000})
        cls.session.commit()

    def setUp(self):
        super().setUp()
        # A user has one timer at most, so that each test takes a user of its own.
        self.worker = self.delete_at_end(self.create("User", username=unique("user")))

    def test_started_and_stopped(self):
        timer = self.worker.start_timer(self.task, comment="working", name="anim work")
        seen = self.again(timer)
        self.assertEqual((seen["comment"], seen["name"], seen["context"]["id"]), ("working", "anim work", self.task["id"]))
        self.assertLess(abs((arrow.utcnow() - seen["start"]).total_seconds()), 3600)
        time.sleep(1.1)
        timelog = self.worker.stop_timer()
        self.assertIsNone(self.again(timer))
        logged = self.again(timelog)
        self.assertEqual((logged["comment"], logged["name"], logged["user_id"]), ("working", "anim work", self.worker["id"]))
        self.assertGreaterEqual(logged["duration"], 1)
        self.assertEqual(logged["start"], seen["start"])

    def test_a_second_timer_is_refused_unless_forced(self):
        first = self.worker.start_timer(self.task)
        with self.assertRaises(ftrack_api.exception.NotUniqueError):
            self.worker.start_timer(self.task)
        self.session.recorded_operations.clear()
        second = self.worker.start_timer(self.task, force=True)
        self.assertIsNone(self.again(first))
        self.assertIsNotNone(self.again(second))
        self.worker.stop_timer()

    def test_without_a_context(self):
        timer = self.worker.start_timer()
        self.assertIsNone(self.again(timer)["context"])
        self.worker.stop_timer()

    def test_nothing_to_stop(self):
        with self.assertRaises(ftrack_api.exception.NoResultFoundError):
            self.worker.stop_timer()

    def test_logged_time_is_summed_up(self):
        task = self.create("Task", name=unique(), parent=self.project, bid=1000)
        for duration in (100, 250):
            self.create("Timelog", user=self.worker, context=task, duration=duration, start=arrow.get("2026-01-01T10:00:00"))
        seen = self.again(task)
        self.assertEqual((seen["time_logged"], seen["bid_time_logged_difference"]), (350, 650))
        self.assertEqual({log["duration"] for log in self.again(self.worker)["timelogs"]}, {100, 250})


class Workflow(Case):
    @classmethod
    def prepare(cls):
        cls.is_demo = cls.schema["name"] == "VFX Scheme"

    def names_of(self, entities):
        return [entity["name"] for entity in entities]

    def test_statuses_of_a_task(self):
        statuses = self.schema.get_statuses("Task")
        linked = self.names(
            f'select status_id from WorkflowSchemaStatus where workflow_schema_id is "{self.schema["_task_workflow"]["id"]}"', "status_id")
        self.assertEqual({status["id"] for status in statuses}, set(linked))
        if self.is_demo:
            self.assertEqual(set(self.names_of(statuses)), {"Not started", "In progress", "Awaiting approval", "Approved"})

    def test_statuses_of_a_version_and_of_other_kinds(self):
        expected = {
            "AssetVersion": {"Approved", "Pending"},
            self.kind("Shot"): {"Normal", "Omitted", "On Hold"},
            "AssetBuild": {"Normal", "Omitted", "On Hold"},
        }
        for kind, names in expected.items():
            with self.subTest(kind=kind):
                if kind not in self.session.types:
                    self.skipTest(f"the schema has no {kind}")
                found = set(self.names_of(self.schema.get_statuses(kind)))
                self.assertTrue(found)
                if self.is_demo:
                    self.assertEqual(found, names)

    def test_statuses_of_a_type_with_a_workflow_of_its_own(self):
        for override in self.schema["_overrides"]:
            expected = {status["id"] for status in override["workflow_schema"]["statuses"]}
            found = {status["id"] for status in self.schema.get_statuses("Task", override["type_id"])}
            self.assertEqual(found, expected)

    def test_types(self):
        tasks = self.names_of(self.schema.get_types("Task"))
        builds = self.names_of(self.schema.get_types("AssetBuild"))
        self.assertTrue(tasks and builds)
        if self.is_demo:
            self.assertEqual(set(tasks), {"Generic", "Animation", "Modeling", "Previz", "Lookdev", "Hair", "Cloth", "FX", "Lighting",
                                          "Compositing", "Tracking", "Rigging", "test 1", "test type 2"})
            self.assertEqual(set(builds), {"Character", "Prop", "Environment", "Matte Painting"})

    def test_kinds_without_statuses_or_types_are_refused(self):
        for helper in (self.schema.get_statuses, self.schema.get_types):
            with self.assertRaises(ValueError):
                helper("User")
            with self.assertRaises(ValueError):
                helper("Nonsense")

    def test_relations_have_two_names(self):
        for private, public in (("_task_workflow", "task_workflow_schema"), ("_version_workflow", "asset_version_workflow_schema"),
                                ("_task_type_schema", "task_type_schema")):
            if public in self.session.types["ProjectSchema"].attributes.keys():
                self.assertEqual(self.schema[private]["id"], self.schema[public]["id"])

    def test_every_status_has_a_state(self):
        shorts = {status["state"]["short"] for status in self.session.query("select state.short, state.name from Status")}
        self.assertLessEqual(shorts, {"NOT_STARTED", "IN_PROGRESS", "DONE", "BLOCKED"})


class Reviews(Case):
    @classmethod
    def prepare(cls):
        cls.asset = cls.session.create("Asset", {"name": "plate", "parent": cls.project})
        cls.version = cls.session.create("AssetVersion", {"asset": cls.asset})
        cls.review = cls.session.create(
            "ReviewSession",
            {"name": "dailies", "description": "today", "project": cls.project, "start_date": arrow.get("2026-06-01"),
             "end_date": arrow.get("2036-06-02")},
        )
        cls.session.commit()

    def test_a_session_with_objects_and_invitees(self):
        shown = self.create("ReviewSessionObject", name="plate v1", description="look", version="Version 1",
                            asset_version=self.version, review_session=self.review)
        guest = self.create("ReviewSessionInvitee", name="Ada", email="ada@example.com", review_session=self.review)
        seen = self.again(self.review)
        self.assertEqual((seen["name"], seen["description"], seen["project"]["id"]), ("dailies", "today", self.project["id"]))
        self.assertEqual((seen["start_date"], seen["end_date"]), (arrow.get("2026-06-01"), arrow.get("2036-06-02")))
        self.assertEqual(seen["created_by"]["username"], self.session.api_user)
        self.assertEqual([(o["name"], o["asset_version"]["id"]) for o in seen["review_session_objects"]], [("plate v1", self.version["id"])])
        self.assertEqual([(i["name"], i["email"]) for i in seen["review_session_invitees"]], [("Ada", "ada@example.com")])
        self.create("ReviewSessionObjectStatus", review_session_object=shown, invitee=guest, status="approved")
        self.assertEqual([status["status"] for status in self.again(shown)["statuses"]], ["approved"])
        self.assertEqual([review["id"] for review in self.again(self.project)["review_sessions"]], [self.review["id"]])

    def test_invitations_are_sent(self):
        guests = [self.create("ReviewSessionInvitee", name="G", email="g@example.com", review_session=self.review) for _ in range(2)]
        self.session.send_review_session_invite(guests[0])
        self.session.send_review_session_invites(guests)
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.call([{"action": "send_review_session_invite", "review_session_invitee_id": "nobody"}])


class Accounts(Case):
    def test_a_user_is_invited(self):
        user = self.delete_at_end(self.create("User", username=unique("user"), email="u@example.com"))
        user.send_invite()
        self.session.send_user_invites([user])
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.call([{"action": "send_user_invite", "user_id": "nobody"}])

    def test_a_new_key_replaces_the_one_before(self):
        name = unique("user")
        user = self.delete_at_end(self.create("User", username=name, is_active=True))
        first = user.reset_api_key()
        with open_session(api_user=name, api_key=first) as session:
            self.assertEqual(session.query(f'User where username is "{name}"').one()["id"], user["id"])
            note = session.create("Note", {"content": "by me"})
            session.commit()
            self.assertEqual(note["author"]["id"], user["id"])
            session.delete(note)
            session.commit()
        second = user.reset_api_key()
        self.assertNotEqual(first, second)
        with self.assertRaises(ftrack_api.exception.ServerError):
            open_session(api_user=name, api_key=first)
        open_session(api_user=name, api_key=second).close()

    def test_only_keys_can_be_reset(self):
        for reset_type in ("password", ["api_key"], None):
            with self.assertRaises(ftrack_api.exception.ServerError):
                self.session.reset_remote(reset_type, self.user)

    def test_a_delayed_job(self):
        job = self.session.call([{"action": "delayed_job", "job_type": "SYNC_USERS_LDAP"}])[0]["data"]
        self.delete_at_end(job)
        self.assertEqual(job.entity_type, "Job")
        seen = wait_until(lambda: (found := self.again(job)) and found["status"] in ("done", "failed") and found)
        self.assertEqual(seen["user"]["username"], self.session.api_user)
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.call([{"action": "delayed_job", "job_type": "MAKE_COFFEE"}])

    def test_jobs_carry_data(self):
        job = self.delete_at_end(self.create("Job", user=self.user, status="running", data=json.dumps({"description": "render ü"})))
        self.assertEqual(json.loads(self.again(job)["data"]), {"description": "render ü"})
        job["status"] = "done"
        self.session.commit()
        self.assertEqual(self.again(job)["status"], "done")
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.call([{"action": "update", "entity_type": "Job", "entity_key": [job["id"]],
                                "entity_data": {"__entity_type__": "Job", "status": "dancing"}}])

    def test_permissions_get_a_reply(self):
        reply = self.session.call([{"action": "permissions"}])[0]
        self.assertEqual(reply["action"], "permissions")

    def test_security_roles_of_users(self):
        role = self.session.query("SecurityRole").first()
        user = self.delete_at_end(self.create("User", username=unique("user")))
        self.create("UserSecurityRole", user=user, security_role=role, is_all_projects=True)
        self.assertEqual([each["security_role"]["name"] for each in self.again(user)["user_security_roles"]], [role["name"]])


class Widgets(Case):
    def test_their_addresses_lead_to_a_page(self):
        task = self.create("Task", name=unique(), parent=self.project)
        urls = set()
        for name, entity, theme in (("tasks", None, None), ("tasks_browser", self.project, "light"), ("info", task, "dark")):
            with self.subTest(name=name):
                url = self.session.get_widget_url(name, entity=entity, theme=theme)
                urls.add(url)
                response = requests.get(url, timeout=30)
                self.assertEqual(response.status_code, 200)
                self.assertIn("text/html", response.headers["content-type"])
        self.assertEqual(len(urls), 3)

    def test_unknown_widgets_and_missing_entities_are_refused(self):
        for name in ("nonsense", "info"):
            with self.assertRaises(ftrack_api.exception.ServerError):
                self.session.get_widget_url(name)

    def test_a_page_needs_its_token(self):
        url = self.session.get_widget_url("tasks")
        self.assertGreaterEqual(requests.get(url[:-4] + "0000", timeout=30).status_code, 400)


if __name__ == "__main__":
    unittest.main()
