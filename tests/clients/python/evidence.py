"""Compares a server with what the emulator assumes, and writes a report of agreement.

Each check has the name of its row in tests/emulator/docs/EVIDENCE.md. A check works in a project
of its own, which is deleted at the end. Run by `tests/clients/run evidence`; the report goes to
the file that is named on the command line.
"""

import pathlib
import sys
import tempfile
import traceback

import requests

from support import open_session, unique

CHECKS = []


def check(name):
    def remember(function):
        CHECKS.append((name, function))
        return function

    return remember


class Refused(Exception):
    """The server's reply is an error."""


class Site:
    """A session and a project to try things in."""

    def __init__(self):
        self.session = open_session()
        self.schema = self.session.query("ProjectSchema").first()
        self.project = self.make("Project", name=unique("evidence"), full_name="Evidence", project_schema=self.schema)

    def make(self, entity_type, **data):
        entity = self.session.create(entity_type, data)
        self.session.commit()
        return entity

    def call(self, *operations):
        """The replies as they are on the wire: the client would make entities of them."""
        headers = {"ftrack-user": self.session.api_user, "ftrack-api-key": self.session.api_key}
        reply = requests.post(f"{self.session.server_url}/api", json=list(operations), headers=headers, timeout=60)
        reply = reply.json()
        if isinstance(reply, dict):
            raise Refused(f'{reply.get("exception")}: {reply.get("content")}')
        return reply

    def query(self, expression):
        return self.call({"action": "query", "expression": expression})[0]

    def create(self, entity_type, **data):
        data["__entity_type__"] = entity_type
        return {"action": "create", "entity_type": entity_type, "entity_data": data}

    def folder(self, name=None, parent=None, **extra):
        return self.create("Folder", name=name or unique("f"), parent_id=parent or self.project["id"], **extra)

    def refused(self, *operations):
        try:
            self.call(*operations)
        except Refused as error:
            return str(error)
        raise AssertionError("the server accepted it")

    def close(self):
        self.session.reset()
        self.session.delete(self.session.get("Project", self.project["id"]))
        self.session.commit()
        self.session.close()


@check("one-transaction")
def one_transaction(site):
    name = unique("half")
    site.refused(site.folder(name), site.create("Folder", name="x", parent_id="no such context"))
    assert not site.query(f'select id from Folder where name is "{name}"')["data"]


@check("duplicate-names")
def duplicate_names(site):
    text = site.refused(site.folder("same"), site.folder("same"))
    assert "IntegrityError" in text or "Duplicate" in text, text


@check("asset-names-repeat")
def asset_names_repeat(site):
    kind = site.session.query("AssetType").first()["id"]
    twice = [site.create("Asset", name="a", context_id=site.project["id"], type_id=kind) for _ in range(2)]
    assert len(site.call(*twice)) == 2


@check("order-by-key")
def order_by_key(site):
    site.call(*[site.folder() for _ in range(8)])
    found = site.query(f'select id from Folder where parent_id is "{site.project["id"]}"')["data"]
    ids = [entity["id"] for entity in found]
    assert ids == sorted(ids), ids


@check("look-ahead")
def look_ahead(site):
    parent = site.call(site.folder())[0]["data"]["id"]
    site.call(*[site.folder(parent=parent) for _ in range(4)])
    expression = f'select id from Folder where parent_id is "{parent}"'
    first = site.query(f"{expression} limit 3")["metadata"]["next"]["offset"]
    last = site.query(f"{expression} offset 2 limit 2")["metadata"]["next"]["offset"]
    assert (first, last) == (3, None), (first, last)


@check("polymorphism")
def polymorphism(site):
    folder = site.call(site.folder())[0]["data"]
    found = site.query(f'select name from Context where id is "{folder["id"]}"')["data"]
    assert found[0]["__entity_type__"] == "Folder", found
    found = site.query(f'select name from Context where id is "{site.project["id"]}"')["data"]
    assert found[0]["__entity_type__"] == "Project", found


@check("cascades")
def cascades(site):
    parent = site.call(site.folder())[0]["data"]["id"]
    child = site.call(site.create("Task", name="t", parent_id=parent))[0]["data"]["id"]
    site.call({"action": "delete", "entity_type": "Folder", "entity_key": [parent]})
    assert not site.query(f'select id from Task where id is "{child}"')["data"]


@check("delete-twice")
def delete_twice(site):
    folder = site.call(site.folder())[0]["data"]["id"]
    operation = {"action": "delete", "entity_type": "Folder", "entity_key": [folder]}
    assert site.call(operation)[0]["data"] is True
    assert site.call(operation)[0]["data"] is True


@check("version-numbers")
def version_numbers(site):
    kind = site.session.query("AssetType").first()["id"]
    asset = site.call(site.create("Asset", name="v", context_id=site.project["id"], type_id=kind))[0]["data"]["id"]
    versions = site.call(*[site.create("AssetVersion", asset_id=asset) for _ in range(2)])
    assert [version["data"]["version"] for version in versions] == [1, 2], versions


@check("required-at-the-end")
def required_at_the_end(site):
    folder = "00000000-0000-4000-8000-" + unique("")[1:13]
    reply = site.call(
        site.create("Folder", id=folder, name=unique("late")),
        {
            "action": "update",
            "entity_type": "Folder",
            "entity_key": [folder],
            "entity_data": {"__entity_type__": "Folder", "parent_id": site.project["id"]},
        },
    )
    assert len(reply) == 2


@check("case-insensitive-text")
def case_insensitive_text(site):
    name = unique("Case")
    site.call(site.folder(name))
    assert site.query(f'select id from Folder where name is "{name.upper()}"')["data"]


@check("whole-seconds")
def whole_seconds(site):
    start = {"__type__": "datetime", "value": "2026-01-02T03:04:05.999999"}
    task = site.call(site.create("Task", name=unique("t"), parent_id=site.project["id"], start_date=start))
    found = site.query(f'select start_date from Task where id is "{task[0]["data"]["id"]}"')["data"]
    text = found[0]["start_date"]["value"]
    assert text == "2026-01-02T03:04:05", text


@check("explicit-null")
def explicit_null(site):
    folder = site.call(site.folder(description=None))[0]["data"]["id"]
    found = site.query(f'select description from Folder where id is "{folder}"')["data"]
    assert found[0]["description"] is None, found


@check("roll-up")
def roll_up(site):
    folder = site.call(site.folder())[0]["data"]["id"]
    tasks = [site.create("Task", name=f"t{index}", parent_id=folder, bid=3600.0) for index in range(2)]
    site.call(*tasks)
    found = site.query(f'select bid from Folder where id is "{folder}"')["data"]
    assert found[0]["bid"] == 7200.0, found


@check("author-is-recipient")
def author_is_recipient(site):
    note = site.call(site.create("Note", content="n", parent_id=site.project["id"], parent_type="Project"))
    found = site.query(f'select resource_id from Recipient where note_id is "{note[0]["data"]["id"]}"')["data"]
    assert len(found) == 1, found


@check("allowed-statuses")
def allowed_statuses(site):
    task = site.call(site.create("Task", name=unique("t"), parent_id=site.project["id"]))[0]["data"]["id"]
    found = site.query(f'select status_id, __permissions.status_id from Task where id is "{task}"')["data"][0]
    assert found["status_id"] in found["__permissions"]["status_id"]["__options"], found


@check("placeholder")
def placeholder(site):
    found = site.query(f'select thumbnail_url from Project where id is "{site.project["id"]}"')["data"]
    assert requests.get(found[0]["thumbnail_url"]["url"], timeout=60).status_code == 200


@check("unknown-action")
def unknown_action(site):
    assert "Invalid action" in site.refused({"action": "no_such_action"})


@check("duplicate-assignment")
def duplicate_assignment(site):
    user = site.session.query(f'User where username is "{site.session.api_user}"').one()["id"]
    task = site.call(site.create("Task", name=unique("t"), parent_id=site.project["id"]))[0]["data"]["id"]
    one = site.create("Appointment", context_id=task, resource_id=user, type="assignment")
    assert len(site.call(one, dict(one, entity_data=dict(one["entity_data"])))) == 2


@check("status-outside-the-workflow")
def status_outside_the_workflow(site):
    task = site.call(site.create("Task", name=unique("t"), parent_id=site.project["id"]))[0]["data"]["id"]
    found = site.query(f'select __permissions.status_id from Task where id is "{task}"')["data"][0]
    allowed = found["__permissions"]["status_id"]["__options"]
    others = [each["id"] for each in site.query("select id from Status")["data"] if each["id"] not in allowed]
    site.call(
        {
            "action": "update",
            "entity_type": "Task",
            "entity_key": [task],
            "entity_data": {"__entity_type__": "Task", "status_id": others[0]},
        }
    )


@check("empty-list")
def empty_list(site):
    assert site.query("select id from Task where id in ()")["data"] == []


@check("double-equals")
def double_equals(site):
    name = site.project["name"]
    assert len(site.query(f'select id from Project where name == "{name}"')["data"]) == 1


def sources():
    """Where each behaviour with a check is known from, as the page says."""
    page = pathlib.Path(__file__).parents[2] / "emulator" / "docs" / "EVIDENCE.md"
    rows = [line.strip("| ").split(" | ") for line in page.read_text(encoding="utf-8").splitlines()]
    return {row[2]: row[1] for row in rows if len(row) == 3 and row[2] != "check"}


def main(path):
    known = sources()
    unlike = {name for name, _ in CHECKS}.symmetric_difference(known)
    assert not unlike, f"the page and the checks do not name the same behaviours: {unlike}"
    site = Site()
    rows = []
    try:
        for name, function in CHECKS:
            try:
                function(site)
                rows.append((name, "agrees", ""))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is no agreement
                last = traceback.extract_tb(error.__traceback__)[-1].lineno
                rows.append((name, "differs", f"{type(error).__name__}, line {last}: {str(error)[:200]}"))
    finally:
        site.close()
    differing = sum(1 for _, outcome, _ in rows if outcome == "differs")
    version = site.session.server_information.get("version")
    with open(path, "w", encoding="utf-8") as report:
        report.write(f"# Agreement with the emulator\n\nServer {version}: {len(rows) - differing} of {len(rows)} agree.\n\n")
        report.write("| behaviour | known from | outcome | why |\n|---|---|---|---|\n")
        for name, outcome, why in rows:
            why = why.replace("|", "/").replace("\n", " ")
            report.write(f"| {name} | {known[name]} | {outcome} | {why} |\n")
    print(f"{len(rows) - differing} of {len(rows)} behaviours agree: {path}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else tempfile.mktemp(suffix=".md")))
