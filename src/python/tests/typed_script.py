"""A script as people write them, for `mypy --strict`: it is checked, not run."""

from typing import Any, List

import ftrack_api
import ftrack_api.accessor.disk
import ftrack_api.event.base
import ftrack_api.exception
import ftrack_api.inspection
import ftrack_api.structure.base
import ftrack_api.symbol
from ftrack_api.entity.base import Entity


class Structure(ftrack_api.structure.base.Structure):
    def get_resource_identifier(self, entity: Entity, context: Any = None) -> str:
        return "studio/" + str(entity["name"])


def show(event: ftrack_api.event.base.Event) -> None:
    print(event["topic"])


def main() -> List[str]:
    with ftrack_api.Session(auto_connect_event_hub=True) as session:
        session.event_hub.subscribe("topic=ftrack.update", show)
        location = session.pick_location()
        if location is not None:
            location.structure = Structure()
            location.accessor = ftrack_api.accessor.disk.DiskAccessor(prefix="/studio")
        task = session.query("select name from Task").first()
        if task is None or ftrack_api.inspection.state(task) is ftrack_api.symbol.DELETED:
            return []
        try:
            task["name"] = "lighting"
            session.commit()
        except ftrack_api.exception.ServerError as error:
            print(error.message)
        session.event_hub.wait(1)
        return [str(one["name"]) for one in session.query("Task")]
