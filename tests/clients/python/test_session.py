"""Opening sessions, the schema cache, raw calls, errors, and what the session knows."""

import hashlib
import json
import os
import pathlib
import tempfile
import unittest

import ftrack_api
import requests

import support
from support import Case, open_session


class Opening(unittest.TestCase):
    def test_server_information_names_version_and_schema_hash(self):
        with open_session() as session:
            information = session.server_information
            self.assertRegex(information["version"], r"^(dev|\d+\.\d+\.\d+.*)$")
            self.assertRegex(information["schema_hash"], "^[0-9a-f]{32}$")
            self.assertIs(type(information["is_timezone_support_enabled"]), bool)
            self.assertIn("scenario", information["storage_scenario"])

    def test_the_first_request_is_server_information_and_the_schemas_follow_once(self):
        with tempfile.TemporaryDirectory() as folder:
            with open_session(schema_cache_path=folder) as first:
                self.assertEqual(first.actions()[:2], ["query_server_information", "query_schemas"])
            with open_session(schema_cache_path=folder) as second:
                self.assertNotIn("query_schemas", second.actions())
                self.assertEqual(second.schemas, first.schemas)

    def test_the_cached_schemas_have_the_hash_that_the_server_names(self):
        with tempfile.TemporaryDirectory() as folder, open_session(schema_cache_path=folder) as session:
            text = pathlib.Path(folder, "ftrack_api_schema_cache.json").read_text()
            dumped = json.dumps(json.loads(text), sort_keys=True).encode()
            self.assertEqual(hashlib.md5(dumped).hexdigest(), session.server_information["schema_hash"])

    def test_a_broken_schema_cache_is_replaced(self):
        for broken in ("", "[]", '[{"id": "Task', "{}", "null"):
            with self.subTest(broken=broken), tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "ftrack_api_schema_cache.json")
                path.write_text(broken)
                with open_session(schema_cache_path=folder) as session:
                    self.assertIn("query_schemas", session.actions())
                    self.assertEqual(json.loads(path.read_text()), session.schemas)

    def test_without_a_cache_the_schemas_are_fetched_each_time(self):
        for _ in range(2):
            with open_session(schema_cache_path=False) as session:
                self.assertEqual(session.actions().count("query_schemas"), 1)

    def test_a_slash_at_the_end_of_the_address_does_not_matter(self):
        with open_session(server_url=os.environ["FTRACK_SERVER"] + "/") as session:
            self.assertEqual(session.server_url, os.environ["FTRACK_SERVER"].rstrip("/"))
            self.assertIsNotNone(session.query("User").first())

    def test_a_wrong_key_is_refused_at_once(self):
        for strict in (False, True):
            with self.subTest(strict=strict):
                with self.assertRaises(ftrack_api.exception.ServerError) as caught:
                    open_session(api_key="wrong", strict_api=strict)
                self.assertIn("InvalidCredentialsError", str(caught.exception))
                self.assertIn("API key", str(caught.exception))

    def test_an_unknown_user_is_refused(self):
        with self.assertRaises(ftrack_api.exception.ServerError) as caught:
            open_session(api_user=support.unique("nobody"))
        self.assertIn("InvalidCredentialsError", str(caught.exception))

    def test_a_closed_session_asks_nothing_any_more(self):
        session = open_session()
        session.close()
        self.assertTrue(session.closed)
        with self.assertRaises(ftrack_api.exception.ConnectionClosedError):
            session.query("User").first()

    def test_own_headers_and_cookies_are_accepted(self):
        with open_session(headers={"x-studio": "yes"}, cookies={"studio": "yes"}) as session:
            self.assertIsNotNone(session.query("User").first())

    def test_plugins_are_discovered_and_get_the_session(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "studio_plugin.py").write_text(
                "def register(session, greeting=None):\n    session.greeting = greeting\n"
            )
            with open_session(plugin_paths=[folder], plugin_arguments={"greeting": "hello"}) as session:
                self.assertEqual(session.greeting, "hello")

    def test_a_storage_scenario_is_configured_by_the_server(self):
        with open_session() as session:
            names = {location["name"] for location in session.query("select name from Location")}
            builtin = {"ftrack.origin", "ftrack.unmanaged", "ftrack.review", "ftrack.connect", "ftrack.server"}
            self.assertLessEqual(builtin, names)
            # No location of the studio's own: the built-in one with the lowest number is picked.
            self.assertIn(session.pick_location()["name"], names)


class Types(Case):
    def test_every_type_has_a_class_and_a_primary_key(self):
        self.assertGreaterEqual(len(self.session.types), 100)
        for name, cls in self.session.types.items():
            self.assertTrue(cls.primary_key_attributes, name)
        self.assertEqual(self.session.types["Metadata"].primary_key_attributes, ["parent_id", "key"])

    def test_every_type_can_be_queried(self):
        for name in sorted(self.session.types):
            with self.subTest(entity_type=name):
                self.assertLessEqual(len(self.session.query(f"{name} limit 1").all()), 1)

    def test_every_attribute_of_every_type_can_be_projected(self):
        for name, cls in sorted(self.session.types.items()):
            attributes = [attribute.name for attribute in cls.attributes]
            with self.subTest(entity_type=name):
                self.session.query(f"select {', '.join(attributes)} from {name} limit 1").all()

    def test_a_projected_entity_needs_no_further_request(self):
        # Without those that thousands of tasks belong to: the client takes minutes to read them.
        criteria = {
            "User": "where not assignments any ()",
            "Project": f'where id is "{self.project["id"]}"',
            "Status": "where not tasks any ()",
        }
        for name in ("User", "Project", "Task", "AssetVersion", "Note", "Status"):
            attributes = [a.name for a in self.session.types[name].attributes]
            expression = f"select {', '.join(attributes)} from {name} {criteria.get(name, '')} limit 3"
            session = self.other()
            for entity in session.query(expression).all():
                before = len(session.requests)
                for attribute in attributes:
                    with self.subTest(entity_type=name, attribute=attribute):
                        entity[attribute]
                        self.assertEqual(len(session.requests), before)

    def test_inspection_knows_identity_and_states(self):
        inspection = ftrack_api.inspection
        self.assertEqual(inspection.identity(self.user), ("User", [self.user["id"]]))
        self.assertEqual(inspection.primary_key(self.user), {"id": self.user["id"]})
        self.assertIs(inspection.state(self.user), ftrack_api.symbol.NOT_SET)
        draft = self.session.create("Folder", {"name": "draft", "parent": self.project})
        self.assertIs(inspection.state(draft), ftrack_api.symbol.CREATED)
        self.session.rollback()


class Calls(Case):
    def test_an_empty_batch_is_legal(self):
        self.assertEqual(self.session.call([]), [])

    def test_the_replies_to_a_batch_are_in_its_order(self):
        replies = self.session.call(
            [
                {"action": "query", "expression": "select username from User limit 1"},
                {"action": "query_server_information"},
                {"action": "query", "expression": "select name from Status limit 2"},
            ]
        )
        self.assertEqual(replies[0]["data"][0].entity_type, "User")
        self.assertIn("schema_hash", replies[1])
        self.assertEqual(len(replies[2]["data"]), 2)
        self.assertEqual(replies[2]["metadata"]["next"]["offset"], 2)

    def test_only_the_asked_values_of_the_server_information_are_needed(self):
        replies = self.session.call([{"action": "query_server_information", "values": ["schema_hash"]}])
        self.assertEqual(replies[0]["schema_hash"], self.session.server_information["schema_hash"])

    def test_an_unknown_action_is_named_in_the_text_that_clients_look_for(self):
        with self.assertRaises(ftrack_api.exception.ServerError) as caught:
            self.session.call([{"action": "make_coffee"}])
        self.assertIn("Invalid action u'make_coffee'", str(caught.exception))

    def test_a_failed_batch_leaves_nothing_behind(self):
        name = support.unique("half")
        identifier = "11111111-2222-4333-8444-" + name[-12:]
        create = {
            "action": "create",
            "entity_type": "Folder",
            "entity_key": [identifier],
            "entity_data": {
                "__entity_type__": "Folder",
                "id": identifier,
                "name": name,
                "parent_id": self.project["id"],
            },
        }
        with self.assertRaises(ftrack_api.exception.ServerError):
            self.session.call([create, {"action": "query", "expression": "select nonsense from Nonsense"}])
        self.assertEqual(self.session.query(f"Folder where name is {name}").all(), [])
        self.session.call([create])
        self.assertEqual(self.names(f"Folder where name is {name}"), [name])

    def test_errors_have_a_real_status_in_strict_mode_only(self):
        auth = {"ftrack-user": self.session.api_user, "ftrack-api-key": self.session.api_key}
        statuses = {}
        for strict in ("true", "false"):
            response = requests.post(
                self.session.server_url + "/api",
                json=[{"action": "query", "expression": "select id from Nonsense"}],
                headers={**auth, "ftrack-strict-api": strict},
                timeout=30,
            )
            self.assertIn("exception", response.json())
            statuses[strict] = response.status_code
        self.assertEqual(statuses["false"], 200)
        self.assertGreaterEqual(statuses["true"], 400)

    def test_strict_and_lax_sessions_raise_the_same_error(self):
        texts = []
        for strict in (False, True):
            with open_session(strict_api=strict) as session:
                with self.assertRaises(ftrack_api.exception.ServerError) as caught:
                    session.query("select nonsense from Task").first()
                texts.append(str(caught.exception))
        self.assertEqual(*texts)
        self.assertIn("nonsense", texts[0])

    def test_grouping_with_aggregates_works_in_strict_mode(self):
        sequence = self.create("Sequence", name="grouped", parent=self.project)
        for index, bid in enumerate([3600, 7200, 10800]):
            self.session.create("Task", {"name": f"g{index}", "parent": sequence, "bid": bid})
        self.session.commit()
        with open_session(strict_api=True) as session:
            expression = (
                "select count(id), sum(bid), avg(bid), min(bid), max(bid) from Task "
                f'where parent_id is "{sequence["id"]}" group by parent_id'
            )
            rows = session.call([{"action": "query", "expression": expression}])[0]["data"]
        self.assertEqual(len(rows), 1)
        row = dict(rows[0])
        self.assertNotIn("__entity_type__", row)
        self.assertEqual(row["parent_id"], sequence["id"])
        figures = [row[name] for name in ("count_id", "sum_bid", "avg_bid", "min_bid", "max_bid")]
        self.assertEqual(figures, [3, 21600, 7200, 3600, 10800])

    def test_encoding_and_decoding_are_each_others_inverse(self):
        encoded = self.session.encode({"who": self.user, "what": ["a", 1, None, True, 2.5]})
        decoded = self.session.decode(encoded)
        self.assertEqual(decoded["who"], self.user)
        self.assertEqual(decoded["what"], ["a", 1, None, True, 2.5])


if __name__ == "__main__":
    unittest.main()
