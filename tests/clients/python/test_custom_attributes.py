"""Custom attributes of every kind, on every kind of entity, inherited or not."""

import json
import unittest

import arrow
import ftrack_api

from support import Case, unique


class CustomAttributes(Case):
    @classmethod
    def prepare(cls):
        cls.types = {kind["name"]: kind for kind in cls.session.query("select name from CustomAttributeType")}
        cls.sequence = cls.session.create("Sequence", {"name": "sq", "parent": cls.project})
        cls.shot = cls.session.create("Shot", {"name": "sh", "parent": cls.sequence})
        cls.task = cls.session.create("Task", {"name": "anim", "parent": cls.shot})
        cls.asset = cls.session.create("Asset", {"name": "plate", "parent": cls.shot})
        cls.version = cls.session.create("AssetVersion", {"asset": cls.asset})
        category = cls.session.query("ListCategory").first()
        cls.list = cls.session.create("TypedContextList", {"name": unique(), "project": cls.project, "category": category})
        cls.session.commit()

    def configure(self, kind, entity_type, default=None, object_type=None, hierarchical=False, config=None, everywhere=False):
        """A new attribute, of the tests' own project only where that is possible."""
        key = unique("key").lower()
        data = {
            "key": key,
            "label": key,
            "type": self.types[kind],
            "entity_type": entity_type,
            "default": default,
            "is_hierarchical": hierarchical,
            "config": json.dumps(config or {}),
            "core": False,
        }
        if entity_type != "user" and not everywhere:
            data["project_id"] = self.project["id"]
        if object_type:
            default_value = self.session.types[object_type].attributes.get("object_type_id").default_value
            data["object_type_id"] = default_value
        self.delete_at_end(self.create("CustomAttributeConfiguration", **data))
        # What was read before this attribute existed does not show it.
        self.session.reset()
        return key

    def value(self, entity, key):
        return self.again(entity)["custom_attributes"][key]

    def check(self, entity, key, *values):
        """Each value, once written, is what another session reads."""
        entity = self.again(entity, self.session)
        for value in values:
            entity["custom_attributes"][key] = value
            self.session.commit()
            self.assertEqual(self.value(entity, key), value)

    def test_text(self):
        key = self.configure("text", "task", "some default", "Task", config={"markdown": False})
        self.assertEqual(self.value(self.task, key), "some default")
        self.check(self.task, key, "plain", 'quo"tes \'', "ünï 漢字 \U0001f600", "", "[1, 2]", "5", "true")

    def test_number(self):
        key = self.configure("number", "task", 123, "Task", config={"isdecimal": True})
        self.assertEqual(self.value(self.task, key), 123)
        self.check(self.task, key, 7, 2.5, 0, -3)

    def test_boolean(self):
        key = self.configure("boolean", "task", False, "Task")
        self.assertIs(self.value(self.task, key), False)
        self.check(self.task, key, True, False, True)

    def test_date(self):
        key = self.configure("date", "task", None, "Task")
        self.assertIsNone(self.value(self.task, key))
        self.check(self.task, key, arrow.get("2026-03-04T00:00:00+00:00"))

    def test_enumerator(self):
        entries = [{"menu": "Wide", "value": "wide"}, {"menu": "Close-up", "value": "close"}]
        key = self.configure("enumerator", "task", "wide", "Task", config={"multiSelect": True, "data": json.dumps(entries)})
        self.check(self.task, key, ["close"], ["wide", "close"])

    def test_dynamic_enumerator(self):
        key = self.configure("dynamic enumerator", "task", None, "Task", config={"multiSelect": False})
        self.check(self.task, key, ["anything"])

    def test_expression(self):
        key = self.configure("expression", "task", "{bid}", "Task", config={"code": "{bid}"})
        self.assertIn(key, self.again(self.task)["custom_attributes"])

    def test_on_every_kind_of_owner(self):
        for owner, entity_type in (
            (self.project, "show"), (self.task, "task"), (self.asset, "asset"),
            (self.version, "assetversion"), (self.list, "list"), (self.user, "user"),
        ):
            with self.subTest(owner=owner.entity_type):
                key = self.configure("number", entity_type, None, "Task" if entity_type == "task" else None)
                self.check(owner, key, 41, 42)

    def test_only_owners_of_the_right_kind_have_it(self):
        key = self.configure("number", "task", None, self.kind("Shot"))
        self.assertIn(key, self.again(self.shot)["custom_attributes"])
        for owner in (self.task, self.sequence, self.project, self.asset, self.version):
            self.assertNotIn(key, self.again(owner)["custom_attributes"])

    def test_only_the_own_project_has_it(self):
        key = self.configure("number", "show")
        stranger = self.session.query(f'Project where id is_not "{self.project["id"]}"').first()
        if stranger is not None:
            self.assertNotIn(key, stranger["custom_attributes"])
        self.assertIn(key, self.again(self.project)["custom_attributes"])

    def test_hierarchical_values_are_read_where_they_are_written(self):
        key = self.configure("number", "show", None, hierarchical=True)
        owners = (self.project, self.sequence, self.shot, self.task, self.asset, self.version)
        for owner in owners:
            self.assertIsNone(self.value(owner, key), owner.entity_type)
        self.check(self.sequence, key, 25)
        self.check(self.version, key, 50)
        stored = {
            row["entity_id"]: row["value"]
            for row in self.other().query(f'select value, entity_id from CustomAttributeValue where configuration.key is "{key}"')
        }
        self.assertEqual(stored, {self.sequence["id"]: 25, self.version["id"]: 50})

    def test_rows_exist_for_every_owner_but_are_stored_when_written(self):
        key = self.configure("number", "task", 5, "Task")
        dense = f'select value, key from ContextCustomAttributeValue where key is "{key}" and entity_id is "{self.task["id"]}"'
        stored = f'select value from CustomAttributeValue where configuration.key is "{key}"'
        self.assertEqual([(row["key"], row["value"]) for row in self.session.query(dense)], [(key, 5)])
        self.assertEqual(self.session.query(stored).all(), [])
        self.check(self.task, key, 6)
        self.assertEqual([row["value"] for row in self.other().query(dense)], [6])
        self.assertEqual([row["value"] for row in self.other().query(stored)], [6])

    def test_in_queries(self):
        number = self.configure("number", "task", 1, "Task")
        text = self.configure("text", "task", "", "Task")
        other = self.create("Task", name="second", parent=self.shot)
        self.check(self.task, number, 10)
        self.check(other, number, 20)
        self.check(other, text, "some text")
        expression = f'select name from Task where parent_id is "{self.shot["id"]}" and custom_attributes any ({{}}) order by name'
        for criteria, names in (
            (f'key is "{number}" and value is 10', ["anim"]),
            (f'key is "{number}" and value > 5', ["anim", "second"]),
            (f'key is "{text}" and value is "some text"', ["second"]),
            (f'key is "{text}" and value like "some%"', ["second"]),
            (f'configuration.key is "{number}" and value is "20"', ["second"]),
        ):
            with self.subTest(criteria=criteria):
                self.assertEqual(self.names(expression.format(criteria)), names)
        self.session.delete(other)
        self.session.commit()

    def test_a_projection_brings_all_of_them_in_one_request(self):
        key = self.configure("number", "task", 9, "Task")
        session = self.other()
        task = session.query(f'select custom_attributes from Task where id is "{self.task["id"]}"').one()
        before = len(session.requests)
        self.assertEqual(task["custom_attributes"][key], 9)
        self.assertEqual(len(session.requests), before)

    def test_set_on_an_entity_that_is_created_in_the_same_commit(self):
        # The client does not know the project of a new entity, so that only an attribute of all
        # projects can be set.
        key = self.configure("number", "task", 1, "Task", everywhere=True)
        task = self.session.create("Task", {"name": unique(), "parent": self.shot})
        task["custom_attributes"][key] = 77
        self.session.commit()
        self.assertEqual(self.value(task, key), 77)
        second = self.create("Task", name=unique(), parent=self.shot, custom_attributes={key: 78})
        self.assertEqual(self.value(second, key), 78)

    def test_values_of_the_wrong_type_are_refused(self):
        for kind, value in (("number", "text"), ("boolean", 5), ("text", 5), ("date", "tomorrow")):
            with self.subTest(kind=kind):
                key = self.configure(kind, "task", None, "Task")
                task = self.again(self.task, self.session)
                task["custom_attributes"][key] = value
                with self.assertRaises(ftrack_api.exception.ServerError) as caught:
                    self.session.commit()
                self.assertIn("ValidationError", str(caught.exception))
                self.assertIn(key, str(caught.exception))
                self.session.rollback()
                self.assertIsNone(self.value(self.task, key))

    def test_a_key_that_does_not_exist(self):
        with self.assertRaises(KeyError):
            self.again(self.task)["custom_attributes"]["no such key"]
        with self.assertRaises(KeyError):
            self.task["custom_attributes"]["no such key"] = 1
        self.session.rollback()

    def test_an_attribute_goes_away_with_its_configuration(self):
        key = self.configure("number", "task", 1, "Task")
        self.check(self.task, key, 3)
        self.session.delete(self.session.query(f'CustomAttributeConfiguration where key is "{key}"').one())
        self.session.commit()
        self.assertNotIn(key, self.again(self.task)["custom_attributes"])
        self.assertEqual(self.session.query(f'CustomAttributeValue where configuration.key is "{key}"').all(), [])

    def test_groups_and_labels(self):
        group = self.delete_at_end(self.create("CustomAttributeGroup", name=unique("group")))
        key = self.configure("number", "task", 1, "Task")
        configuration = self.session.query(f'CustomAttributeConfiguration where key is "{key}"').one()
        configuration["group"] = group
        configuration["label"] = "Pretty"
        self.session.commit()
        seen = self.again(configuration)
        self.assertEqual((seen["label"], seen["group"]["name"], seen["type"]["name"]), ("Pretty", group["name"], "number"))
        self.assertEqual([each["key"] for each in self.again(group)["custom_attribute_configurations"]], [key])

    def test_links_to_other_entities(self):
        key = unique("link").lower()
        configuration = self.delete_at_end(
            self.create("CustomAttributeLinkConfiguration", key=key, label=key, entity_type="task",
                        object_type_id=self.session.types[self.kind("Shot")].attributes.get("object_type_id").default_value,
                        entity_type_to="user", one_to_one=True, core=False, config="{}")
        )
        self.create("ContextCustomAttributeLink", configuration_id=configuration["id"], from_id=self.shot["id"], to_id=self.user["id"])
        username = self.session.api_user
        found = f'select name from {self.kind("Shot")} where custom_attribute_links any (configuration.key is "{key}" and user.username is "{username}")'
        self.assertEqual(self.names(found), ["sh"])
        back = f'select username from User where custom_attribute_links_from any (configuration.key is "{key}" and context.name is "sh")'
        self.assertEqual(self.names(back, "username"), [username])


if __name__ == "__main__":
    unittest.main()
