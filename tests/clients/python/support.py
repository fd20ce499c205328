"""What the tests of the Python client share: sessions, a project of their own, cleaning up.

The session is opened from FTRACK_SERVER, FTRACK_API_USER and FTRACK_API_KEY, so that the tests
can be pointed at any server.
"""

import logging
import os
import shutil
import tempfile
import time
import unittest
import uuid

import ftrack_api

# The client reports every refused call twice; the tests look at the exceptions.
logging.getLogger("ftrack_api").setLevel(logging.CRITICAL)

# The schemas are fetched once for all tests of this process.
_SCHEMA_CACHE = tempfile.mkdtemp(prefix="ftrack-clients-")
unittest.addModuleCleanup(shutil.rmtree, _SCHEMA_CACHE, True)


# Kinds of objects that sites rename or do without, with the ids that they keep.
KINDS = {
    "Episode": "22139355-61da-4c8f-9db4-3abc870166bc",
    "Sequence": "e5139355-61da-4c8f-9db4-3abc870166bc",
    "Shot": "bad911de-3bd6-47b9-8b46-3476e237cb36",
}


class Session(ftrack_api.Session):
    """A session that remembers the operations it sent, request by request."""

    def __init__(self, **arguments):
        self.requests = []
        arguments.setdefault("schema_cache_path", _SCHEMA_CACHE)
        arguments.setdefault("plugin_paths", [])
        super().__init__(**arguments)

    def call(self, data):
        self.requests.append(data)
        return super().call(data)

    def create(self, entity_type, data=None, reconstructing=False):
        if not reconstructing:
            entity_type = self.kind(entity_type)
        return super().create(entity_type, data, reconstructing)

    def kind(self, name):
        """What the site calls a kind of objects; a test of one that is not there is skipped."""
        if name in self.types or name not in KINDS:
            return name
        for entity_type, cls in self.types.items():
            attribute = cls.attributes.get("object_type_id")
            if attribute is not None and attribute.default_value == KINDS[name]:
                return entity_type
        raise unittest.SkipTest(f"the schema has no {name}")

    def actions(self):
        """The names of all actions sent so far."""
        return [operation["action"] for request in self.requests for operation in request]


def open_session(**arguments):
    return Session(**arguments)


def unique(prefix="clients"):
    """A name that no other test and no other run uses."""
    return f"{prefix}_{uuid.uuid4().hex[:12]}"


def wait_until(condition, seconds=20, step=0.05):
    """The first true result of *condition*; fails when none comes in time."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"nothing happened in {seconds} seconds")
        time.sleep(step)


class Case(unittest.TestCase):
    """Tests with a session and a project that is deleted at the end."""

    session = None

    @classmethod
    def setUpClass(cls):
        cls.session = open_session()
        cls.addClassCleanup(cls.session.close)
        cls.schema = cls.session.query("ProjectSchema order by name descending").first()
        cls.user = cls.session.query(f'User where username is "{cls.session.api_user}"').one()
        name = unique()
        cls.project = cls.session.create(
            "Project", {"name": name, "full_name": f"{name} full", "project_schema": cls.schema}
        )
        cls.session.commit()
        cls.addClassCleanup(cls._delete_project)
        cls.prepare()

    @classmethod
    def _delete_project(cls):
        with open_session() as session:
            session.delete(session.get("Project", cls.project["id"]))
            session.commit()

    @classmethod
    def prepare(cls):
        """What a class of tests creates once."""

    def kind(self, name):
        """What the site calls a kind of objects."""
        return self.session.kind(name)

    def setUp(self):
        # A test that failed half-way must not hand its operations to the next one.
        self.addCleanup(self.session.recorded_operations.clear)

    def other(self):
        """A session that has seen nothing yet."""
        session = open_session()
        self.addCleanup(session.close)
        return session

    def create(self, entity_type, /, **data):
        entity = self.session.create(entity_type, data)
        self.session.commit()
        return entity

    def again(self, entity, session=None):
        """The same entity, as another session sees it; None if it is gone."""
        session = session or self.other()
        return session.get(entity.entity_type, list(ftrack_api.inspection.primary_key(entity).values()))

    def delete_at_end(self, entity):
        """For what does not go away together with the project."""

        def delete():
            with open_session() as session:
                found = self.again(entity, session)
                if found is not None:
                    session.delete(found)
                    session.commit()

        self.addCleanup(delete)
        return entity

    def names(self, expression, attribute="name"):
        """The values of one attribute of what a query finds, in its order."""
        return [entity[attribute] for entity in self.session.query(expression)]
