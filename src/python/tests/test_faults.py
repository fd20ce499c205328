"""Exceptions, panics and `kill -9` at random in everything that users write in Python."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid

import ftrack_api
from ftrack_api import _core

SEED = int(os.environ.get("FTRACK_TEST_SEED", "23"))
ROUNDS = int(os.environ.get("FTRACK_TEST_ROUNDS", "60"))


class Strange(Exception):
    """Nothing that it is asked works."""

    def __str__(self):
        raise RuntimeError("of __str__")

    __repr__ = __str__


KINDS = (
    ValueError, KeyError, OSError, MemoryError, RecursionError, StopIteration, NotImplementedError, AssertionError,
    FileNotFoundError, FileExistsError, PermissionError, UnicodeError, KeyboardInterrupt, SystemExit, GeneratorExit,
    Strange, ftrack_api.exception.AccessorResourceNotFoundError, ftrack_api.exception.ServerError,
)


class Faults(object):
    """Raises one of many kinds of exceptions now and then."""

    def __init__(self, seed, share=0.08):
        self.random = random.Random(seed)
        self.share = share
        self.raised = []

    def __call__(self):
        if self.random.random() < self.share:
            kind = self.random.choice(KINDS)
            made = kind("of the test") if kind is not UnicodeError else kind()
            self.raised.append(made)
            raise made

    def quiet(self):
        self.share = 0


class Folder(ftrack_api.accessor.disk.DiskAccessor):
    """Files on a disk; each call may fail."""

    fault = staticmethod(lambda: None)

    def open(self, resource_identifier, mode="rb"):
        self.fault()
        opened = super().open(resource_identifier, mode)
        fault = self.fault

        class Failing(ftrack_api.data.FileWrapper):
            def read(self, limit=None):
                fault()
                return super().read(limit)

            def write(self, content):
                fault()
                # In halves: what ends in between leaves half a file.
                half = len(content) // 2
                super().write(content[:half])
                super().flush()
                fault()
                super().write(content[half:])

            def close(self):
                super().close()
                fault()

        return Failing(opened)

    def exists(self, resource_identifier):
        self.fault()
        return super().exists(resource_identifier)

    def remove(self, resource_identifier):
        self.fault()
        return super().remove(resource_identifier)

    def get_container(self, resource_identifier):
        self.fault()
        return super().get_container(resource_identifier)

    def make_container(self, resource_identifier):
        self.fault()
        return super().make_container(resource_identifier)


class Structure(ftrack_api.structure.base.Structure):
    fault = staticmethod(lambda: None)

    def get_resource_identifier(self, entity, context=None):
        self.fault()
        return "files/{0}{1}".format(entity["id"], entity["file_type"])


class Transformer(ftrack_api.resource_identifier_transformer.base.ResourceIdentifierTransformer):
    fault = staticmethod(lambda: None)

    def encode(self, resource_identifier, context=None):
        self.fault()
        return resource_identifier[::-1]

    def decode(self, resource_identifier, context=None):
        self.fault()
        return resource_identifier[::-1]


class Cache(ftrack_api.cache.MemoryCache):
    fault = staticmethod(lambda: None)

    def get(self, key):
        self.fault()
        return super().get(key)

    def set(self, key, value):
        self.fault()
        super().set(key, value)

    def remove(self, key):
        self.fault()
        super().remove(key)


CONTENT = b"0123456789" * 1000


def set_up_location(session, name, folder, fault):
    location = session.query('Location where name is "{0}"'.format(name)).one()
    location.accessor = Folder(prefix=str(folder))
    location.structure = Structure()
    location.resource_identifier_transformer = Transformer(session)
    location.priority = 1
    for part in (location.accessor, location.structure, location.resource_identifier_transformer):
        part.fault = fault
    return location


class Base(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.source = self.folder / "source.txt"
        self.source.write_bytes(CONTENT)
        (self.folder / "files").mkdir()
        self.name = "tests.faults." + uuid.uuid4().hex
        with ftrack_api.Session(plugin_paths=[]) as session:
            session.create("Location", {"name": self.name})
            session.commit()

    def check_location(self):
        """Checks that what the server says is in the location is there, whole; returns how many."""
        with ftrack_api.Session(plugin_paths=[]) as session:
            there = session.query(
                'select resource_identifier, component.size from ComponentLocation where location.name is "{0}"'.format(self.name)
            ).all()
            for one in there:
                path = self.folder / one["resource_identifier"][::-1]
                self.assertEqual(path.read_bytes(), CONTENT, path)
                self.assertEqual(one["component"]["size"], len(CONTENT))
        return len(there)


class Exceptions(Base):
    def test_exceptions_in_locations_harm_nothing(self):
        fault = Faults(SEED)
        session = ftrack_api.Session(plugin_paths=[])
        self.addCleanup(session.close)
        location = set_up_location(session, self.name, self.folder, fault)
        done = 0
        for number in range(ROUNDS):
            before = len(fault.raised)
            try:
                component = session.create_component(str(self.source), {"name": str(number)}, location=location)
                location.get_filesystem_path(component)
                done += 1
                if number % 3 == 0:
                    location.remove_component(component)
                    done -= 1
            except BaseException as raised:
                new = fault.raised[before:]
                self.assertTrue(new, "nothing was raised, but {0!r} arrived".format(type(raised)))
                is_own = any(raised is one for one in new)
                self.assertTrue(is_own or isinstance(raised, ftrack_api.exception.Error), type(raised))
                session.rollback()
        fault.quiet()
        self.assertGreater(len(fault.raised), ROUNDS // 8)
        self.assertGreater(done, 0)
        component = session.create_component(str(self.source), {"name": "last"}, location=location)
        self.assertEqual(location.get_component_availability(component), 100.0)
        self.assertGreaterEqual(self.check_location(), 1)

    def test_exceptions_in_a_cache_change_no_result(self):
        fault = Faults(SEED + 1, 0.2)
        Failing = type("Failing", (Cache,), {"fault": staticmethod(fault)})
        with ftrack_api.Session(plugin_paths=[]) as session:
            expected = {task["id"]: task["name"] for task in session.query("select name from Task limit 20")}
        cache = Failing()
        for _ in range(ROUNDS // 6):
            try:
                with ftrack_api.Session(plugin_paths=[], cache=cache) as session:
                    found = {key: session.get("Task", key)["name"] for key in expected}
            except (KeyboardInterrupt, SystemExit, GeneratorExit) as raised:
                self.assertTrue(any(raised is one for one in fault.raised))
            else:
                self.assertEqual(found, expected)
        self.assertTrue(fault.raised)

    def test_exceptions_in_call_lose_no_change(self):
        fault = Faults(SEED + 2, 0.3)

        class Calling(ftrack_api.Session):
            def call(self, data):
                fault()
                replies = super().call(data)
                # After the server has done it.
                fault()
                return replies

        share, fault.share = fault.share, 0
        with Calling(plugin_paths=[]) as session:
            project = session.query("Project").first()
            fault.share = share
            names = []
            for number in range(ROUNDS // 4):
                names.append(uuid.uuid4().hex)
                session.create("Task", {"name": names[-1], "parent": project})
                try:
                    session.commit()
                except BaseException as raised:
                    is_own = any(raised is one for one in fault.raised)
                    self.assertTrue(is_own or isinstance(raised, ftrack_api.exception.Error), type(raised))
            fault.quiet()
            session.commit()
            self.assertEqual(len(session.recorded_operations), 0)
        self.assertTrue(fault.raised)
        with ftrack_api.Session(plugin_paths=[]) as session:
            found = session.query('Task where name in ("{0}")'.format('", "'.join(names))).all()
            self.assertEqual(sorted(task["name"] for task in found), sorted(names), "each is there, and once")

    def test_exceptions_in_event_callbacks_end_no_connection(self):
        fault = Faults(SEED + 3, 0.4)
        seen = []

        def handle(event):
            seen.append(event["data"]["number"])
            fault()
            return {"number": event["data"]["number"]}

        session = ftrack_api.Session(plugin_paths=[])
        self.addCleanup(session.close)
        hub = session.event_hub
        hub.connect()
        topic = "tests." + uuid.uuid4().hex
        hub.subscribe("topic=" + topic, handle)
        for number in range(ROUNDS):
            hub.publish(ftrack_api.event.base.Event(topic, data={"number": number}), on_reply=lambda event: fault())
        ended = 0
        with self.assertLogs("ftrack_api", "ERROR"):
            for _ in range(2000):
                try:
                    hub.wait(0.05)
                except (KeyboardInterrupt, SystemExit, GeneratorExit) as raised:
                    self.assertTrue(any(raised is one for one in fault.raised))
                    ended += 1
                if len(seen) >= ROUNDS:
                    break
        self.assertEqual(seen, list(range(ROUNDS)))
        self.assertGreater(ended, 0)
        self.assertTrue(hub.connected)

    def test_a_plugin_that_fails_in_any_way_is_passed_over(self):
        for number, line in enumerate((
            "raise ValueError", "1 / 0", "import nothing_of_that_name", "def register(session): raise KeyError('x')",
            "def register(session, needs): pass", "def register(): pass", "register = 4", "\0",
        )):
            (self.folder / "p{0}.py".format(number)).write_text(line)
        with self.assertLogs("ftrack_api.plugin", "WARNING"):
            with ftrack_api.Session(plugin_paths=[str(self.folder)]) as session:
                self.assertIsNotNone(session.query("User").first())


@unittest.skipUnless(hasattr(_core, "_panic"), "a release build has no panic to offer")
class Panics(Base):
    def test_a_panic_in_the_middle_of_a_transfer_is_an_exception(self):
        session = ftrack_api.Session(plugin_paths=[])
        self.addCleanup(session.close)
        location = set_up_location(session, self.name, self.folder, lambda: None)
        calls = []

        def panic_at(count):
            def fault():
                calls.append(1)
                if len(calls) == count:
                    _core._panic("of the test")
            return fault

        for count in range(1, 12):
            del calls[:]
            for part in (location.accessor, location.structure, location.resource_identifier_transformer):
                part.fault = panic_at(count)
            try:
                session.create_component(str(self.source), {"name": "panic"}, location=location)
                self.assertLess(len(calls), count)
            except BaseException as raised:
                # What a location's parts do is an error of the location.
                self.assertIn(type(raised).__name__, ("LocationError", "PanicException"))
                self.assertIn("of the test", str(raised))
                session.rollback()
        for part in (location.accessor, location.structure, location.resource_identifier_transformer):
            part.fault = lambda: None
        session.create_component(str(self.source), {"name": "after"}, location=location)
        self.assertGreaterEqual(self.check_location(), 1)

    def test_a_panic_in_a_callback_leaves_the_hub_connected(self):
        session = ftrack_api.Session(plugin_paths=[])
        self.addCleanup(session.close)
        hub, seen = session.event_hub, []
        hub.connect()
        topic = "tests." + uuid.uuid4().hex

        def handle(event):
            seen.append(event)
            if len(seen) == 1:
                _core._panic("of the test")

        hub.subscribe("topic=" + topic, handle)
        for _ in range(2):
            hub.publish(ftrack_api.event.base.Event(topic))
        raised = []
        for _ in range(400):
            try:
                hub.wait(0.05)
            except BaseException as one:
                raised.append(type(one).__name__)
            if len(seen) == 2:
                break
        self.assertEqual((len(seen), raised), (2, ["PanicException"]))
        self.assertTrue(hub.connected)


CHILD = '''
import os, random, signal, sys, uuid
sys.path.insert(0, {tests!r})
import ftrack_api, test_faults
seed, name, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
chance = random.Random(seed)
left = chance.randrange(1, 120)
def fault():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
class Calling(ftrack_api.Session):
    def call(self, data):
        fault()
        replies = super().call(data)
        fault()
        return replies
session = Calling(plugin_paths=[])
project = session.query("Project").first()
location = test_faults.set_up_location(session, name, folder, fault)
while True:
    mark = name + "." + uuid.uuid4().hex
    session.create("Task", {{"name": mark + ".a", "parent": project, "description": name}})
    session.create("Task", {{"name": mark + ".b", "parent": project, "description": name}})
    session.commit()
    print(mark, flush=True)
    component = session.create_component(folder + "/source.txt", {{"name": mark}}, location=location)
    print("component", component["id"], flush=True)
'''.format(tests=str(pathlib.Path(__file__).parent))


class Kills(Base):
    def test_a_process_that_is_killed_in_a_callback_loses_no_commit(self):
        lives = int(os.environ.get("FTRACK_TEST_KILLS", "8"))
        marks, components = [], []
        for number in range(lives):
            ended = subprocess.run(
                [sys.executable, "-c", CHILD, str(SEED + number), self.name, str(self.folder)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
            )
            self.assertEqual(ended.returncode, -signal.SIGKILL, ended.stderr)
            for line in ended.stdout.splitlines():
                is_component = line.startswith("component ")
                (components if is_component else marks).append(line.rpartition(" ")[2])
        self.assertTrue(marks and components)
        with ftrack_api.Session(plugin_paths=[]) as session:
            tasks = session.query('select name from Task where description is "{0}"'.format(self.name)).all()
            names = [task["name"] for task in tasks]
            self.assertEqual(len(set(names)), len(names), "nothing is there twice")
            pairs = {name[:-2] for name in names}
            self.assertEqual(len(names), 2 * len(pairs), "a commit is there as a whole, or not at all")
            self.assertLessEqual(set(marks), pairs, "what commit() returned from is there")
            self.assertLessEqual(len(pairs), len(marks) + lives)
            there = session.query('ComponentLocation where location.name is "{0}"'.format(self.name)).all()
            self.assertLessEqual(set(components), {one["component_id"] for one in there})
        self.check_location()


if __name__ == "__main__":
    unittest.main()
