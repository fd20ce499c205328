"""The Python side of tests/clients/interop.rs: does what it is told, one JSON object a line.

    {"write": [{"label", "type", "set", "metadata", "custom_attributes"}]} -> {label: [type, id]}
    {"update": [{"key": [type, id], "set", "metadata", "custom_attributes"}]} -> null
    {"delete": [[type, id]]} -> null
    {"change": {"project", "seed", "count"}} -> how many of as many random changes there were: new tasks,
        renamed, changed and deleted ones, in commits of up to 60
    {"dump": [[type, id]]} -> for each, every attribute that the client knows; null if it is gone
    {"publish": {"version", "path", "name", "location", ...}} -> [type, id]
    {"fetch": {"component": [type, id], "location", ...}} -> {name of a file: [where, hexadecimal bytes]}
    {"remove": {"component": [type, id], "location", ...}} -> null
    {"open": folder} -> the actions that a session with that schema cache sends

Values are JSON; {"ref": label} is an entity written before, {"key": [type, id]} any other, and
{"datetime": text} an instant. A location is a name; with "folder" and "structure" it is bound to
a disk and to the structure "standard" or "id". Dumps hold ids for references and texts for instants.
"""

import json
import random
import sys

import arrow
import ftrack_api
import ftrack_api.structure.id
import ftrack_api.structure.standard

import support

made = {}


def value(session, given):
    if isinstance(given, list):
        return [value(session, each) for each in given]
    if not isinstance(given, dict):
        return given
    if "ref" in given:
        return session.get(*made[given["ref"]])
    if "key" in given:
        return session.get(*given["key"])
    return arrow.get(given["datetime"])


def plain(read):
    if isinstance(read, ftrack_api.entity.base.Entity):
        return ", ".join(ftrack_api.inspection.primary_key(read).values())
    if isinstance(read, arrow.Arrow):
        assert read.utcoffset().total_seconds() == 0
        return read.naive.isoformat()
    if isinstance(read, ftrack_api.collection.Collection):
        return sorted(plain(each) for each in read)
    if isinstance(read, ftrack_api.collection.MappedCollectionProxy):
        return {key: plain(read[key]) for key in read}
    # The client leaves an immutable collection unset if it is empty.
    return [] if read is ftrack_api.symbol.NOT_SET else read


def adjust(session, entity, order):
    for name, given in order.get("set", {}).items():
        entity[name] = value(session, given)
    for name in ("metadata", "custom_attributes"):
        for key, given in order.get(name, {}).items():
            entity[name][key] = value(session, given)


def write(session, entities):
    for each in entities:
        data = {name: value(session, given) for name, given in each["set"].items()}
        if each["type"] == "AssetVersion" and data.get("version") == 0:
            # The only form in which a server takes this number from a client.
            data["version"] = "0"
        entity = session.create(each["type"], data)
        made[each["label"]] = (each["type"], list(ftrack_api.inspection.primary_key(entity).values()))
        adjust(session, entity, {name: each.get(name, {}) for name in ("metadata", "custom_attributes")})
    session.commit()
    return {label: [kind, key[0]] for label, (kind, key) in made.items()}


def update(session, orders):
    for order in orders:
        adjust(session, session.get(*order["key"]), order)
    session.commit()


def delete(session, keys):
    for key in keys:
        session.delete(session.get(*key))
    session.commit()


def change(session, order):
    chance = random.Random(order["seed"])
    project = session.get("Project", order["project"])
    tasks = session.query(f'select name, bid from Task where project_id is "{project["id"]}"').all()
    statuses = session.query("Status").all()
    changes = 0
    while changes < order["count"]:
        for _ in range(chance.randint(1, 60)):
            changes += 1
            task, kind = chance.choice(tasks), chance.randrange(20)
            if kind == 0:
                name = f"p{order['seed']}_{changes}"
                tasks.append(session.create("Task", {"name": name, "parent": project, "bid": 1}))
            elif kind == 1 and len(tasks) > 20:
                tasks.remove(task)
                session.delete(task)
            elif kind == 2:
                task["name"] = f"n{order['seed']}_{changes}"
            elif kind == 3:
                task["status"] = chance.choice(statuses)
            else:
                task["bid"] = chance.randrange(2_000_000)
        session.commit()
    return changes


def dump(session, keys):
    found = []
    for kind, identifier in keys:
        names = [attribute.name for attribute in session.types[kind].attributes]
        entity = session.query(f'select {", ".join(names)} from {kind} where id is "{identifier}"').first()
        found.append(entity and {name: plain(entity[name]) for name in names})
    return found


def located(session, order):
    location = session.query(f'Location where name is "{order["location"]}"').one()
    if "folder" in order:
        structures = {"standard": ftrack_api.structure.standard.StandardStructure, "id": ftrack_api.structure.id.IdStructure}
        location.accessor = ftrack_api.accessor.disk.DiskAccessor(prefix=order["folder"])
        location.structure = structures[order["structure"]]()
    return location


def publish(session, order):
    version = session.get("AssetVersion", order["version"])
    component = version.create_component(order["path"], {"name": order["name"]}, location=located(session, order))
    session.commit()
    return [component.entity_type, component["id"]]


def fetch(session, order):
    location, component = located(session, order), session.get(*order["component"])
    files = component["members"] if "members" in component.keys() else [component]
    found = {}
    for each in files:
        place = location.get_resource_identifier(each)
        found[each["name"]] = [place, location.accessor.open(place, "rb").read().hex()]
    return found


def remove(session, order):
    located(session, order).remove_component(session.get(*order["component"]))


def opened(folder):
    with support.open_session(schema_cache_path=folder) as session:
        assert session.query("select username from User").first() is not None
        return session.actions()


def main():
    work = {"write": write, "update": update, "delete": delete, "dump": dump, "change": change}
    work |= {"publish": publish, "fetch": fetch, "remove": remove}
    for line in sys.stdin:
        ((order, subject),) = json.loads(line).items()
        if order == "open":
            result = opened(subject)
        else:
            # Each order has a session of its own, which has seen nothing yet.
            with support.open_session() as session:
                result = work[order](session, subject)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    try:
        main()
    finally:
        support.unittest.doModuleCleanups()
