"""How the module behaves in its host: locks, memory, threads, forks, and what callbacks raise."""

import copy
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import unittest
import weakref

import ftrack_api


def open_session(**arguments):
    arguments.setdefault("plugin_paths", [])
    return ftrack_api.Session(**arguments)


class Memory(unittest.TestCase):
    def test_a_session_that_nobody_holds_goes(self):
        session = open_session()
        task = session.query("Task").first()
        task["name"], task["status"], task["metadata"]
        gone = weakref.ref(session)
        del session
        gc.collect()
        self.assertIsNotNone(gone(), "an entity keeps its session")
        del task
        gc.collect()
        self.assertIsNone(gone())

    def test_callbacks_that_hold_the_session_do_not_keep_it(self):
        session = open_session()
        session.event_hub.subscribe("topic=studio", lambda event: session)
        session.task = session.query("Task").first()
        location = session.ensure("Location", {"name": "tests.memory"})

        class Structure(ftrack_api.structure.base.Structure):
            owner = session

        location.accessor = ftrack_api.accessor.disk.DiskAccessor("")
        location.structure = Structure()
        gone = weakref.ref(session)
        del session, location, Structure
        gc.collect()
        gc.collect()
        self.assertIsNone(gone())

    def test_a_hub_that_is_held_keeps_its_session(self):
        hub = open_session(auto_connect_event_hub=True).event_hub
        gc.collect()
        seen = []
        hub.subscribe("topic=tests.held", seen.append)
        hub.mark = "kept"
        hub.publish(ftrack_api.event.base.Event("tests.held"))
        end = time.monotonic() + 120
        while not seen and time.monotonic() < end:
            hub.wait(0.05)
        self.assertEqual(len(seen), 1)

    def test_a_session_goes_with_its_hub_and_keeps_what_was_subscribed(self):
        session = open_session()
        seen = []
        session.event_hub.subscribe("topic=tests.kept", seen.append)
        session.event_hub.mark = "kept"
        gc.collect()
        self.assertEqual(session.event_hub.mark, "kept")
        session.event_hub.publish(ftrack_api.event.base.Event("tests.kept"), synchronous=True)
        self.assertEqual(len(seen), 1)
        gone = weakref.ref(session)
        gc.disable()
        self.addCleanup(gc.enable)
        del session
        self.assertIsNone(gone(), "it goes without the garbage collector")

    def test_entities_that_nobody_holds_go_and_keep_their_changes(self):
        with open_session() as session:
            task = session.query("Task").first()
            task["description"] = "kept"
            key, gone = task["id"], weakref.ref(task)
            del task
            gc.collect()
            self.assertIsNone(gone())
            self.assertEqual(session.get("Task", key)["description"], "kept")
            session.rollback()

    def test_sessions_leave_nothing_behind(self):
        count = int(os.environ.get("FTRACK_TEST_SESSIONS", "60"))
        open_session().close()
        gc.collect()
        sessions = len(self.sessions())
        files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(count):
            session = open_session()
            session.query("User").first()
            session.close()
        del session
        gc.collect()
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), files + 1)
        self.assertEqual(threading.active_count(), threads)
        self.assertEqual(len(self.sessions()), sessions)

    def sessions(self):
        return [one for one in gc.get_objects() if type(one) is ftrack_api.Session]


class Identity(unittest.TestCase):
    def setUp(self):
        self.session = open_session()
        self.addCleanup(self.session.close)

    def test_there_is_one_object_for_each_entity(self):
        task = self.session.query("select parent from Task").first()
        self.assertIs(self.session.get("Task", task["id"]), task)
        self.assertIs(task["parent"], self.session.get(task["parent"].entity_type, task["parent"]["id"]))
        self.assertIn(task, self.session.query("Task").all())

    def test_a_copy_of_an_entity_is_that_entity(self):
        task = self.session.query("Task").first()
        self.assertIs(copy.copy(task), task)
        self.assertEqual(copy.deepcopy({"tasks": [task]}), {"tasks": [task]})

    def test_entities_are_mappings(self):
        task = self.session.query("Task").first()
        self.assertIn("name", task)
        self.assertNotIn("nonsense", task)
        self.assertEqual(dict(task)["name"], task["name"])
        self.assertEqual(len(task), len(task.keys()))
        self.assertEqual(task.get("nonsense", 4), 4)
        self.assertEqual(type(task).__name__, "Task")
        self.assertIn(task["id"], str(task))
        with self.assertRaises(KeyError):
            task["nonsense"]

    def test_what_is_not_loaded_is_not_set_if_nothing_may_be_loaded(self):
        task = self.session.query("select name from Task").first()
        with self.session.auto_populating(False):
            self.assertIs(task["bid"], ftrack_api.symbol.NOT_SET)
            self.assertIs(task["timelogs"], ftrack_api.symbol.NOT_SET)
        self.assertIsNot(task["bid"], ftrack_api.symbol.NOT_SET)

    def test_peers_are_loaded_together(self):
        seen = []

        class Watching(ftrack_api.Session):
            def call(self, data):
                seen.append(data)
                return super().call(data)

        with Watching(plugin_paths=[]) as session:
            tasks = session.query("select name from Task limit 50").all()
            before = len(seen)
            names = [task["status"]["name"] for task in tasks]
            self.assertEqual(len(names), 50)
            self.assertEqual(len(seen) - before, 2)  # The statuses of all, and all their names.

    def test_threads_share_a_session(self):
        seconds = float(os.environ.get("FTRACK_TEST_SECONDS", "3"))
        end = time.monotonic() + seconds
        failures, counts = [], []

        def work(number):
            count = 0
            try:
                while time.monotonic() < end:
                    tasks = self.session.query("select name, status.name from Task", page_size=20)[:40]
                    for task in tasks:
                        assert self.session.get("Task", task["id"]) is task
                        task["status"]["name"], task["parent"]["name"]
                    tasks[number % len(tasks)]["description"] = str(count)
                    if number == 0:
                        self.session.commit()
                    count += 1
            except BaseException as raised:
                failures.append(raised)
            counts.append(count)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.session.rollback()
        self.assertEqual(failures, [])
        self.assertEqual(len(counts), 16)


#: Opens a session on a server that never responds, and says how that ended and whether another thread ran meanwhile.
INTERRUPTED = """
import os, signal, socket, threading, time
import ftrack_api

def handler(number, frame):
    seen.append(number)
    if len(seen) == 2:
        raise KeyboardInterrupt

seen, ticks = [], []
# Python ignores it in what a shell has started in the background.
signal.signal(signal.SIGINT, handler if {own_handler} else signal.default_int_handler)
server = socket.create_server(("127.0.0.1", 0))

def interrupt():
    connection, _ = server.accept()
    connection.recv(1)
    for _ in range(10):
        ticks.append(time.sleep(0.01))
    os.kill(os.getpid(), signal.SIGINT)
    if {own_handler}:
        while not seen:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
url = "http://127.0.0.1:{{0}}".format(server.getsockname()[1])
try:
    ftrack_api.Session(server_url=url, api_key="key", api_user="user", plugin_paths=[])
except KeyboardInterrupt:
    print("interrupted after", len(ticks), len(seen))
"""


class Signals(unittest.TestCase):
    def interrupt(self, own_handler):
        script = INTERRUPTED.format(own_handler=own_handler)
        child = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=50)
        return child.stdout.decode().strip()

    @unittest.skipIf(os.name == "nt", "a process cannot send itself Ctrl-C there")
    def test_ctrl_c_ends_a_request_without_a_response(self):
        self.assertEqual(self.interrupt(False), "interrupted after 10 0")

    @unittest.skipIf(os.name == "nt", "a process cannot send itself Ctrl-C there")
    def test_a_handler_of_ones_own_runs_while_a_request_waits(self):
        self.assertEqual(self.interrupt(True), "interrupted after 10 2")


class Callbacks(unittest.TestCase):
    def setUp(self):
        self.session = open_session(auto_connect_event_hub=True)
        self.addCleanup(self.session.close)
        self.hub = self.session.event_hub

    def deliver(self, callback):
        self.hub.subscribe("topic=tests.callbacks", callback)
        self.hub.publish(ftrack_api.event.base.Event("tests.callbacks"))
        self.hub.flush()

    def test_other_threads_run_while_one_waits(self):
        ticks = []
        stop = threading.Event()

        def tick():
            while not stop.is_set():
                ticks.append(1)
                time.sleep(0.001)

        thread = threading.Thread(target=tick)
        thread.start()
        before = len(ticks)
        self.hub.wait(0.5)
        after = len(ticks)
        stop.set()
        thread.join()
        # On a busy machine there are few; if the wait held the interpreter, there would be none.
        self.assertGreater(after - before, 5)

    def test_handlers_run_in_the_thread_that_waits(self):
        seen = []
        self.deliver(lambda event: seen.append(threading.get_ident()))
        end = time.monotonic() + 120
        while not seen and time.monotonic() < end:
            self.hub.wait(0.05)
        self.assertEqual(seen, [threading.get_ident()])

    def test_an_interrupt_in_a_callback_ends_the_wait(self):
        def interrupt(event):
            raise KeyboardInterrupt

        self.deliver(interrupt)
        with self.assertRaises(KeyboardInterrupt):
            self.hub.wait(20)

    def test_what_is_published_last_arrives(self):
        seen = []
        self.hub.subscribe("topic=tests.last", seen.append)
        self.hub.connect()
        with open_session() as other:
            other.event_hub.connect()
            for number in range(3000):
                other.event_hub.publish(ftrack_api.event.base.Event("tests.last", data={"number": number}))
        end = time.monotonic() + 120
        while len(seen) < 3000 and time.monotonic() < end:
            self.hub.wait(0.05)
        self.assertEqual([event["data"]["number"] for event in seen], list(range(3000)))

    def test_what_else_a_callback_raises_is_logged(self):
        failed = []

        def fail(event):
            failed.append(event)
            raise ValueError("of the callback")

        with self.assertLogs("ftrack_api.event.hub", "ERROR"):
            self.deliver(fail)
            end = time.monotonic() + 120
            while not failed and time.monotonic() < end:
                self.hub.wait(0.05)
        self.assertTrue(self.hub.connected)


def _in_child(results, key):
    with open_session() as session:
        results.put(session.get("Task", key)["id"])


class Processes(unittest.TestCase):
    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_a_forked_process_opens_its_own_session(self):
        with open_session() as session:
            key = session.query("Task").first()["id"]
            context = multiprocessing.get_context("fork")
            results = context.Queue()
            child = context.Process(target=_in_child, args=(results, key))
            child.start()
            self.assertEqual(results.get(timeout=30), key)
            child.join(30)
            self.assertEqual(child.exitcode, 0)
            self.assertEqual(session.get("Task", key)["id"], key)

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_an_inherited_session_works_on_connections_of_its_own(self):
        with open_session() as session:
            key = session.query("Task").first()["id"]
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                found = session.query('select name from Task where id is "{0}"'.format(key)).one()
                os.write(writing, found["id"].encode())
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading) as pipe:
                self.assertEqual(pipe.read(), key)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertIsNotNone(session.query("User").first())

    def test_sub_interpreters_are_refused(self):
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            self.skipTest("this Python has no module for sub-interpreters")
        interpreter = interpreters.create()
        self.addCleanup(interpreters.destroy, interpreter)
        code = "import sys; sys.path[:] = {0!r}\ntry:\n import ftrack_api\nexcept ImportError: pass\nelse: raise SystemExit".format(sys.path)
        interpreters.run_string(interpreter, code)


if __name__ == "__main__":
    unittest.main()
