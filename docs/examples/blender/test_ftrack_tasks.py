"""Drives the add-on inside of Blender, without a screen: `src/python/run blender` installs `bpy` and runs this."""

import os
import sys
import tempfile
import time
import unittest
import uuid

import bpy
import ftrack_api
from ftrack_api.event.base import Event

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class AddOn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bpy.ops.preferences.addon_enable(module="ftrack_tasks")
        cls.addClassCleanup(bpy.ops.preferences.addon_disable, module="ftrack_tasks")
        cls.addon = sys.modules["ftrack_tasks"]
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        settings = bpy.context.preferences.addons["ftrack_tasks"].preferences
        settings.folder = folder.name
        # What somebody else does, in a session of their own.
        cls.other = ftrack_api.Session(plugin_paths=[], auto_connect_event_hub=True)
        cls.addClassCleanup(cls.other.close)
        session = cls.other
        user = session.query('User where username is "{0}"'.format(session.api_user)).one()
        schema = session.query("ProjectSchema").first()
        name = "blender_" + uuid.uuid4().hex[:8]
        cls.project = session.create("Project", {"name": name, "full_name": name, "project_schema": schema})
        shot = session.create("Shot", {"name": "sh010", "parent": cls.project})
        cls.task = session.create("Task", {"name": "layout", "parent": shot})
        session.create("Appointment", {"context": cls.task, "resource": user, "type": "assignment"})
        session.commit()
        cls.statuses = schema.get_statuses("Task")
        cls.addClassCleanup(cls.remove)
        assert bpy.ops.ftrack.connect() == {"FINISHED"}
        cls.connection = cls.addon.connection
        cls.connection.session.event_hub.connect()

    @classmethod
    def remove(cls):
        cls.other.delete(cls.project)
        cls.other.commit()

    def until(self, condition):
        """As Blender's timer does, which needs a window."""
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, "nothing happened")
            self.addon.poll()
            self.other.event_hub.wait(0.02)

    def shown(self):
        return next(task for task in self.connection.tasks if task["id"] == self.task["id"])

    def test_1_the_artists_tasks_are_listed(self):
        self.assertEqual((self.shown()["name"], self.shown()["parent"]["name"]), ("layout", "sh010"))

    def test_2_a_scene_is_published_with_a_thumbnail_and_opened_again(self):
        self.assertEqual(bpy.ops.ftrack.open(task=self.task["id"]), {"FINISHED"})
        bpy.ops.mesh.primitive_monkey_add()
        name = bpy.context.object.name
        def own():
            scene = bpy.context.scene
            return scene.render.engine, scene.render.filepath, scene.cycles.samples, scene.cycles.use_denoising

        before = own()
        self.assertEqual(bpy.ops.ftrack.publish(comment="first"), {"FINISHED"})
        self.assertEqual(own(), before)
        version = self.other.query(
            'select comment, components.name, thumbnail.size from AssetVersion where task_id is "{0}"'.format(self.task["id"])
        ).one()
        self.assertEqual(version["comment"], "first")
        self.assertIn("scene", [component["name"] for component in version["components"]])
        self.assertGreater(version["thumbnail"]["size"], 1000)
        bpy.ops.wm.read_homefile(use_empty=True)
        self.assertNotIn(name, bpy.data.objects)
        self.assertEqual(bpy.ops.ftrack.open(task=self.task["id"]), {"FINISHED"})
        self.assertIn(name, bpy.data.objects)
        self.assertEqual(bpy.context.scene["ftrack_task"], self.task["id"])
        # Blender saves into a copy; what is published stays as it is.
        session = self.connection.session
        (scene,) = (one for one in session.get("AssetVersion", version["id"])["components"] if one["name"] == "scene")
        published = self.connection.location.get_filesystem_path(scene)
        self.assertIn(self.project["name"], published)
        before = os.stat(published).st_mtime_ns, os.path.getsize(published)
        bpy.ops.mesh.primitive_torus_add()
        torus = bpy.context.object.name
        bpy.ops.wm.save_mainfile()
        self.assertEqual((os.stat(published).st_mtime_ns, os.path.getsize(published)), before)
        bpy.ops.wm.read_homefile(use_empty=True)
        bpy.ops.ftrack.open(task=self.task["id"])
        self.assertIn(torus, bpy.data.objects, "what is saved and not published is opened again")
        # A second one counts up.
        self.assertEqual(bpy.ops.ftrack.publish(comment="second"), {"FINISHED"})
        self.assertIn("version 2", self.connection.message)

    def test_3_a_status_that_somebody_else_sets_is_shown(self):
        before = self.shown()["status"]["name"]
        status = next(one for one in self.statuses if one["name"] != before)
        self.task["status"] = status
        self.other.commit()
        self.until(lambda: self.shown()["status"]["name"] == status["name"])

    def test_4_an_action_of_ftracks_menu_runs_in_blender(self):
        bpy.ops.wm.read_homefile(use_empty=True)
        data = {"selection": [{"entityId": self.task["id"], "entityType": "task"}]}
        offered, told = [], []
        self.other.event_hub.connect()
        self.other.event_hub.publish(Event("ftrack.action.discover", data=data), on_reply=offered.append)
        self.until(lambda: offered)
        item = offered[0]["data"]["items"][0]
        self.assertEqual(item["label"], "Open in this Blender")
        data = dict(data, actionIdentifier=item["actionIdentifier"])
        self.other.event_hub.publish(Event("ftrack.action.launch", data=data), on_reply=told.append)
        self.until(lambda: told)
        self.assertTrue(told[0]["data"]["success"])
        self.assertEqual(bpy.context.scene["ftrack_task"], self.task["id"])

    def test_5_what_goes_wrong_is_reported_and_leaves_nothing(self):
        bpy.ops.ftrack.open(task=self.task["id"])
        count = len(self.other.query('AssetVersion where task_id is "{0}"'.format(self.task["id"])))

        class Broken(ftrack_api.accessor.disk.DiskAccessor):
            def open(self, resource_identifier, mode="rb"):
                raise OSError("the disk is full")

        accessor, self.connection.location.accessor = self.connection.location.accessor, Broken("/nowhere")
        try:
            with self.assertRaises(RuntimeError) as caught:
                bpy.ops.ftrack.publish(comment="lost")
        finally:
            self.connection.location.accessor = accessor
        self.assertIn("the disk is full", str(caught.exception))
        self.assertEqual(len(self.other.query('AssetVersion where task_id is "{0}"'.format(self.task["id"]))), count)

    def test_6_without_a_folder_it_says_what_to_set(self):
        settings = bpy.context.preferences.addons["ftrack_tasks"].preferences
        folder, settings.folder = settings.folder, ""
        try:
            with self.assertRaises(RuntimeError) as caught:
                bpy.ops.ftrack.connect()
        finally:
            settings.folder = folder
        self.assertIn("Set the folder", str(caught.exception))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
