"""The log of the SDK in Python's `logging`."""

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import ftrack_api

SESSION = "ftrack_api.session.Session"
HUB = "ftrack_api.event.hub.EventHub"


class Heard(logging.Handler):
    def __init__(self):
        super().__init__(1)
        self.records = []

    def emit(self, record):
        self.records.append((record, threading.get_ident()))

    def texts(self, name):
        return [record.getMessage() for record, _ in self.records if record.name == name]


class Logging(unittest.TestCase):
    def listen(self, level):
        logger = logging.getLogger("ftrack_api")
        heard, before = Heard(), logger.level
        logger.addHandler(heard)
        logger.setLevel(level)
        logger.propagate = False

        def undo():
            logger.removeHandler(heard)
            logger.setLevel(before)
            logger.propagate = True

        self.addCleanup(undo)
        time.sleep(0.15)  # A changed level is seen after a tenth of a second.
        return heard

    def test_it_arrives_under_the_official_names_with_its_level(self):
        heard = self.listen(logging.DEBUG)
        with ftrack_api.Session(plugin_paths=[]) as session:
            session.create("Project", {"name": "never"})
        found = {record.name: record for record, _ in heard.records}
        self.assertIn(SESSION, found)
        opened = [record for record, _ in heard.records if "session open" in record.getMessage()]
        self.assertEqual([record.levelno for record in opened], [logging.DEBUG])
        self.assertLess(abs(opened[0].created - time.time()), 60)
        self.assertTrue(opened[0].pathname.endswith(".rs") and opened[0].lineno, opened[0].pathname)
        warned = [record for record, _ in heard.records if "uncommitted" in record.getMessage()]
        self.assertEqual([record.levelno for record in warned], [logging.WARNING])

    def test_levels_hold(self):
        heard = self.listen(logging.ERROR)
        with ftrack_api.Session(plugin_paths=[]) as session:
            session.create("Project", {"name": "never"})
        self.assertEqual(heard.texts(SESSION), [])

    def test_the_key_is_in_no_record(self):
        heard = self.listen(1)
        with ftrack_api.Session(plugin_paths=[], auto_connect_event_hub=True) as session:
            key = session.api_key
            session.event_hub.subscribe("topic=tests.logging", lambda event: None)
            session.event_hub.publish(ftrack_api.event.base.Event("tests.logging"))
            session.event_hub.wait(0.3)
            with self.assertRaises(ftrack_api.exception.ServerError):
                session.call([{"action": "nothing"}])
        with self.assertRaises(ftrack_api.exception.Error):
            ftrack_api.Session(plugin_paths=[], api_key=key[:-1] + "x")
        self.assertTrue(heard.records)
        half = key[: len(key) // 2]
        for record, _ in heard.records:
            self.assertNotIn(half, record.getMessage() + repr(record.args))
            self.assertTrue(record.name.startswith("ftrack_api"), record.name)

    def test_handlers_run_on_the_callers_thread_and_may_call_the_session(self):
        heard = self.listen(logging.DEBUG)
        session = ftrack_api.Session(plugin_paths=[])
        self.addCleanup(session.close)

        class Asking(logging.Handler):
            names = []

            def emit(self, record):
                self.names.append(session.query("User").first()["username"])
                session.reset()

        asking = Asking()
        logging.getLogger("ftrack_api").addHandler(asking)
        self.addCleanup(logging.getLogger("ftrack_api").removeHandler, asking)
        session.create("Project", {"name": "never"})
        session.reset()
        self.assertTrue(asking.names)
        self.assertEqual({thread for _, thread in heard.records}, {threading.get_ident()})

    def test_threads_that_log_do_not_wait_for_each_other(self):
        class Slow(logging.Handler):
            def emit(self, record):
                time.sleep(0.002)

        self.listen(1)
        slow = Slow()
        logging.getLogger("ftrack_api").addHandler(slow)
        self.addCleanup(logging.getLogger("ftrack_api").removeHandler, slow)
        session = ftrack_api.Session(plugin_paths=[], auto_connect_event_hub=True)
        self.addCleanup(session.close)
        failures = []

        def work():
            try:
                for _ in range(10):
                    session.query("select name from Task limit 20").all()
                    session.event_hub.reconnect()
                    session.event_hub.poll()
            except Exception as raised:
                failures.append(raised)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertFalse(any(thread.is_alive() for thread in threads), "they wait for each other")
        self.assertEqual(failures, [])

    def test_a_program_that_sets_nothing_sees_warnings_only(self):
        code = "import ftrack_api; s = ftrack_api.Session(plugin_paths=[]); s.create('Project', {'name': 'x'})"
        ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn("uncommitted", ended.stderr)

    def test_importing_and_opening_load_little(self):
        """What takes time: none of it is needed for a session."""
        heavy = ("arrow", "logging", "json", "uuid", "urllib", "inspect", "pickle", "tempfile", "re", "hashlib")
        with tempfile.TemporaryDirectory() as folder:
            code = (
                "import sys; before = set(sys.modules); import ftrack_api\n"
                "ftrack_api.Session(plugin_paths=[], schema_cache_path={0!r})\n"
                "print(*(set({1!r}) & set(sys.modules) - before))"
            ).format(folder, heavy)
            # Without the site's packages, which may have loaded some of it.
            environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
            ended = subprocess.run([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        self.assertEqual((ended.returncode, ended.stdout.split()), (0, []))


if __name__ == "__main__":
    unittest.main()
