"""What users write in Python and give to the session: accessors, structures, caches, plugins, classes."""

import io
import os
import pathlib
import tempfile
import threading
import unittest
import uuid

import ftrack_api


def open_session(**arguments):
    arguments.setdefault("plugin_paths", [])
    return ftrack_api.Session(**arguments)


class Memory(ftrack_api.accessor.base.Accessor):
    """Files in a dict."""

    def __init__(self):
        super().__init__()
        self.files = {}

    def open(self, resource_identifier, mode="rb"):
        if "r" in mode:
            if resource_identifier not in self.files:
                raise ftrack_api.exception.AccessorResourceNotFoundError("open", resource_identifier)
            return ftrack_api.data.FileWrapper(io.BytesIO(self.files[resource_identifier]))
        files = self.files

        class Writing(ftrack_api.data.FileWrapper):
            def close(self):
                if not self.closed:
                    files[resource_identifier] = self.wrapped_file.getvalue()
                    super().close()

        return Writing(io.BytesIO())

    def exists(self, resource_identifier):
        return resource_identifier in self.files

    def remove(self, resource_identifier):
        del self.files[resource_identifier]


class ByName(ftrack_api.structure.base.Structure):
    """`studio/name.ext`"""

    def get_resource_identifier(self, entity, context=None):
        return "studio/{0}{1}".format(entity["name"], entity["file_type"])


class Reversing(ftrack_api.resource_identifier_transformer.base.ResourceIdentifierTransformer):
    def encode(self, resource_identifier, context=None):
        return resource_identifier[::-1]

    def decode(self, resource_identifier, context=None):
        return resource_identifier[::-1]


class Locations(unittest.TestCase):
    def setUp(self):
        self.session = open_session()
        self.addCleanup(self.session.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.location = self.session.ensure("Location", {"name": "tests." + uuid.uuid4().hex})
        self.addCleanup(self.remove_location)
        self.accessor = self.location.accessor = Memory()
        self.location.structure = ByName()
        self.location.priority = 1

    def remove_location(self):
        self.session.rollback()
        self.session.delete(self.location)
        self.session.commit()

    def publish(self, name, content=b"content"):
        path = self.folder / name
        path.write_bytes(content)
        component = self.session.create_component(str(path), {"name": path.stem}, location=self.location)
        self.addCleanup(self.remove, component)
        return component

    def remove(self, component):
        if self.location.get_component_availability(component):
            self.location.remove_component(component)

    def test_files_go_through_an_accessor_and_a_structure_in_python(self):
        component = self.publish("plate.txt", b"to python")
        self.assertEqual(self.accessor.files, {"studio/plate.txt": b"to python"})
        self.assertIs(self.location.accessor, self.accessor)
        self.assertEqual(self.location.get_resource_identifier(component), "studio/plate.txt")
        self.assertEqual(self.session.pick_location(component), self.location)
        back = self.session.ensure("Location", {"name": self.location["name"] + ".disk"})
        back.accessor = ftrack_api.accessor.disk.DiskAccessor(prefix=str(self.folder / "disk"))
        (self.folder / "disk").mkdir()
        back.structure = ftrack_api.structure.id.IdStructure(prefix="ids")
        back.add_component(component, self.location)
        path = pathlib.Path(back.get_filesystem_path(component))
        self.assertEqual(path.read_bytes(), b"to python")
        back.remove_component(component)
        self.location.remove_component(component)
        self.assertEqual(self.accessor.files, {})
        self.session.delete(back)
        self.session.commit()

    def test_files_of_a_sequence_are_named_by_the_helper_of_structures(self):
        class Plates(ftrack_api.structure.base.Structure):
            def get_resource_identifier(self, entity, context=None):
                if entity.entity_type == "SequenceComponent":
                    number = self._get_sequence_expression(entity)
                    return "{0}.{1}{2}".format(entity["name"], number, entity["file_type"])
                return self.get_resource_identifier(entity["container"]) % int(entity["name"])

        self.location.structure = Plates()
        for number in (1, 2):
            (self.folder / "plate.{0:04d}.exr".format(number)).write_bytes(b"x")
        path = str(self.folder / "plate.%04d.exr [1-2]")
        component = self.session.create_component(path, {"name": "plate"}, location=self.location)
        self.assertEqual(sorted(self.accessor.files), ["plate.0001.exr", "plate.0002.exr"])
        self.location.remove_component(component)
        self.assertEqual(self.accessor.files, {})

    def test_what_is_not_there_cannot_be_removed(self):
        there, other = self.publish("there.txt"), self.publish("other.txt")
        self.assertIsNone(self.location.remove_component(other))
        for call in (
            lambda: self.location.remove_component(other),
            lambda: self.location.remove_components([there, other]),
        ):
            with self.assertRaises(ftrack_api.exception.ComponentNotInLocationError):
                call()
        self.assertEqual(self.accessor.files, {"studio/there.txt": b"content"})

    def test_files_on_disk_fail_as_those_of_the_official_client(self):
        accessor = ftrack_api.accessor.disk.DiskAccessor(str(self.folder))
        accessor.make_container("full/deep")
        for call, kind in (
            (lambda: accessor.remove("full"), ftrack_api.exception.AccessorContainerNotEmptyError),
            (lambda: accessor.remove("none"), ftrack_api.exception.AccessorResourceNotFoundError),
            (lambda: accessor.open("none"), ftrack_api.exception.AccessorResourceNotFoundError),
            (lambda: accessor.get_filesystem_path("/elsewhere"), ftrack_api.exception.AccessorFilesystemPathError),
            (
                lambda: accessor.make_container("a/b", recursive=False),
                ftrack_api.exception.AccessorParentResourceNotFoundError,
            ),
        ):
            with self.subTest(kind=kind), self.assertRaises(kind):
                call()
        accessor.make_container("a", recursive=False)
        accessor.make_container("a/b", recursive=False)
        self.assertTrue(accessor.is_container("a/b"))

    def test_structures_fail_as_those_of_the_official_client(self):
        component = self.publish("there.txt")
        with self.assertRaises(ValueError):
            ftrack_api.structure.origin.OriginStructure().get_resource_identifier(component)
        with self.assertRaises(NotImplementedError):
            ftrack_api.structure.standard.StandardStructure().get_resource_identifier(self.session.query("Task").first())

    def test_messages_name_what_python_has(self):
        location = self.session.create("Location", {"name": "tests.unbound"})
        texts = []
        for call in (
            lambda: location.get_filesystem_path(self.publish("there.txt")),
            lambda: self.session.create_component("/nowhere/to/be.seen", {}, location=self.location),
        ):
            with self.assertRaises(ftrack_api.exception.LocationError) as caught:
                call()
            texts.append(str(caught.exception))
        self.session.rollback()
        self.assertNotIn("::", " ".join(texts))

    def test_a_transformer_converts_what_the_server_keeps(self):
        self.location.resource_identifier_transformer = Reversing(self.session)
        component = self.publish("turned.txt")
        kept = self.session.query(
            'ComponentLocation where component_id is "{0}" and location_id is "{1}"'.format(component["id"], self.location["id"])
        ).one()
        self.assertEqual(kept["resource_identifier"], "txt.denrut/oiduts")
        self.assertEqual(self.location.get_resource_identifier(component), "studio/turned.txt")
        self.location.remove_component(component)

    def test_an_exception_of_an_accessor_arrives_as_what_it_was(self):
        class Broken(Memory):
            def open(self, resource_identifier, mode="rb"):
                raise ZeroDivisionError("of the accessor")

        self.location.accessor = broken = Broken()
        with self.assertRaises(ZeroDivisionError) as caught:
            self.publish("broken.txt")
        self.assertIn("of the accessor", str(caught.exception))
        self.assertEqual(broken.files, {})
        self.assertEqual(len(self.session.recorded_operations), 0)

    def test_an_exception_of_a_structure_arrives_too(self):
        class Broken(ByName):
            def get_resource_identifier(self, entity, context=None):
                raise RuntimeError("of the structure")

        self.location.structure = Broken()
        with self.assertRaises(RuntimeError):
            self.publish("broken.txt")

    def test_what_is_taken_away_is_not_bound_any_more(self):
        self.location.accessor = ftrack_api.symbol.NOT_SET
        self.assertIs(self.location.accessor, ftrack_api.symbol.NOT_SET)
        with self.assertRaises(ftrack_api.exception.LocationError):
            self.publish("nowhere.txt")

    def test_an_unmanaged_location_leaves_files_where_they_are(self):
        ftrack_api.mixin(self.location, ftrack_api.entity.location.UnmanagedLocationMixin)
        self.assertIsInstance(self.location, ftrack_api.entity.location.UnmanagedLocationMixin)
        self.location.accessor = ftrack_api.accessor.disk.DiskAccessor(prefix="")
        self.location.structure = ftrack_api.structure.origin.OriginStructure()
        path = self.folder / "stays.txt"
        component = self.publish("stays.txt")
        self.assertEqual(self.location.get_filesystem_path(component), str(path))
        self.location.remove_component(component)
        self.assertTrue(path.exists())


class Failing(ftrack_api.Session):
    fails = False

    def call(self, data):
        if self.fails:
            # Of the same kind as the module's own.
            raise RuntimeError("on purpose")
        return super().call(data)


class Queries(unittest.TestCase):
    def test_a_page_that_failed_is_asked_for_again(self):
        with Failing(plugin_paths=[]) as session:
            query = "select name from Task order by id"
            expected = [task["id"] for task in session.query(query)]
            found = session.query(query, page_size=5)
            self.assertEqual([task["id"] for task in found[:5]], expected[:5])
            for attempt in (list, len):
                session.fails = True
                self.assertRaises(Exception, attempt, found)
                session.fails = False
            self.assertEqual([task["id"] for task in found], expected)

    def test_threads_that_share_a_result_lose_no_page(self):
        class Slow(ftrack_api.Session):
            def call(self, data):
                asked.release()
                go_on.acquire()
                return super().call(data)

        asked, go_on = threading.Semaphore(0), threading.Semaphore(1000)
        with Slow(plugin_paths=[]) as session:
            query = "select name from Task order by id"
            expected = len(session.query(query).all())
            found = session.query(query, page_size=5)
            while go_on.acquire(blocking=False):
                pass
            while asked.acquire(blocking=False):
                pass
            counts = []
            thread = threading.Thread(target=lambda: counts.append(len(found)))
            thread.start()
            asked.acquire()
            self.assertRaisesRegex(RuntimeError, "another thread", len, found)
            go_on.release(1000)
            thread.join()
            self.assertEqual((counts, len(found)), ([expected], expected))


class Caches(unittest.TestCase):
    def test_a_cache_in_python_is_filled_and_asked(self):
        class Counting(ftrack_api.cache.MemoryCache):
            gets = 0

            def get(self, key):
                self.gets += 1
                return super().get(key)

        cache = Counting()
        with open_session(cache=lambda session: cache) as session:
            key = session.query("select name, bid from Task").first()["id"]
        self.assertTrue(cache.keys())
        self.assertTrue(all(isinstance(value, str) for value in cache.values()))
        before = cache.gets
        with open_session(cache=cache) as session:
            session.get("Task", key)["bid"]
        self.assertGreater(cache.gets, before)

    def test_a_cache_that_fails_is_as_good_as_none(self):
        class Broken(ftrack_api.cache.Cache):
            def get(self, key):
                raise OSError("broken")

            set = remove = keys = get

        with open_session(cache=Broken()) as session:
            self.assertIsNotNone(session.query("Task").first()["name"])

    def test_what_a_pattern_finds_is_forgotten(self):
        with open_session() as session:
            tasks = session.query("select name from Task").all()
            project = session.query("select name from Project").first()

            def kinds():
                return {key.partition("(")[0] for key in session.cache.keys()}

            self.assertLessEqual({"Task", "Project"}, kinds())
            session.cache.clear("^Proj.ct")
            self.assertIn("Task", kinds())
            self.assertNotIn("Project", kinds())
            self.assertTrue(tasks and project["name"])

    def test_functions_are_remembered(self):
        calls = []

        @ftrack_api.cache.memoise
        def double(number, options=None):
            calls.append(number)
            return [number * 2]

        self.assertEqual(double(2), [4])
        double(2).append("changed")
        self.assertEqual(double(2), [4])
        self.assertEqual(calls, [2])


PLUGIN = '''
import ftrack_api
import ftrack_api.entity.factory


class Greeting(ftrack_api.entity.base.Entity):
    def greet(self):
        return "hello " + self["username"]


class Factory(ftrack_api.entity.factory.StandardFactory):
    def create(self, schema, bases=None):
        made = super(Factory, self).create(schema, bases=[Greeting] if schema["id"] == "User" else bases)
        if schema["id"] == "User":
            made.default_projections = ["id", "email"]
        return made


def construct(event):
    return Factory().create(event["data"]["schema"])


def configure(event):
    session = event["data"]["session"]
    session.configured = session.pick_location()["name"]


def register(session, studio=None, **rest):
    session.studio = studio
    session.ready = []
    session.event_hub.subscribe("topic=ftrack.api.session.construct-entity-type", construct)
    session.event_hub.subscribe("topic=ftrack.api.session.configure-location", configure)
    session.event_hub.subscribe("topic=ftrack.api.session.ready", lambda event: session.ready.append(event["topic"]))
    session.event_hub.subscribe("topic=ftrack.api.session.reset", lambda event: session.ready.append(event["data"]["session"]))
    session.event_hub.subscribe("topic=ftrack.api.session.get-file-type-from-string", lambda event: ".studio")
'''


class Plugins(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "studio.py").write_text(PLUGIN)
        (self.folder / "broken.py").write_text("this is not Python")
        (self.folder / "no_plugin.py").write_text("")

    def test_plugins_extend_the_session(self):
        os.environ["FTRACK_EVENT_PLUGIN_PATH"] = str(self.folder)
        self.addCleanup(os.environ.pop, "FTRACK_EVENT_PLUGIN_PATH")
        with self.assertLogs("ftrack_api.plugin", "WARNING") as logged:
            session = ftrack_api.Session(plugin_arguments={"studio": "north"})
        self.addCleanup(session.close)
        self.assertEqual(len(logged.records), 2, logged.output)
        self.assertEqual(session.studio, "north")
        self.assertEqual(session.ready, ["ftrack.api.session.ready"])
        self.assertTrue(session.configured)
        user = session.query("User").first()
        with session.auto_populating(False):
            self.assertIsNot(user["email"], ftrack_api.symbol.NOT_SET)
            self.assertIs(user["first_name"], ftrack_api.symbol.NOT_SET)
        self.assertEqual(user.greet(), "hello " + user["username"])
        self.assertTrue(hasattr(user, "start_timer"), "it keeps what users have")
        self.assertEqual(session._file_type("a.exr"), ".studio")
        session.reset()
        self.assertIs(session.ready[-1], session)


class Errors(unittest.TestCase):
    def setUp(self):
        self.session = open_session()
        self.addCleanup(self.session.close)

    def test_messages_name_the_nearest(self):
        task = self.session.query("Task").first()
        for call, kind, text in (
            (lambda: task["nmae"], KeyError, "name"),
            (lambda: self.session.query("Tsak"), KeyError, "Task"),
            (lambda: self.session.query("Task where nmae is a").all(), ftrack_api.exception.ServerError, "name"),
            (lambda: self.session.get("Tsak", "x"), KeyError, "Task"),
            (lambda: task.update({"nmae": "x"}), KeyError, "name"),
        ):
            with self.subTest(text=text), self.assertRaises(kind) as caught:
                call()
            self.assertIn(text, str(caught.exception))
            self.assertIsInstance(caught.exception, ftrack_api.exception.Error)

    def test_unknown_attributes_of_new_entities_are_ignored_and_logged(self):
        with self.assertLogs(self.session.logger, "WARNING") as logged:
            task = self.session.create("Task", {"name": "x", "nmae": "y"})
        self.assertIn("did you mean 'name'", logged.output[0])
        self.assertEqual(task["name"], "x")
        self.session.rollback()

    def test_settings_that_are_missing_are_named(self):
        kept = {name: os.environ.pop(name) for name in ("FTRACK_SERVER", "FTRACK_API_KEY", "FTRACK_API_USER")}
        try:
            with self.assertRaises(TypeError) as caught:
                open_session()
        finally:
            os.environ.update(kept)
        self.assertIn("FTRACK_SERVER", str(caught.exception))

    def test_the_key_is_in_no_text(self):
        key = self.session.api_key
        self.assertTrue(key)
        self.assertNotIn(key, repr(self.session) + str(self.session.event_hub))

    def test_quotes_in_values_are_a_matter_of_format(self):
        with self.assertRaises(ftrack_api.exception.ParseError):
            self.session.query('Task where name is "it"s"')


if __name__ == "__main__":
    unittest.main()
