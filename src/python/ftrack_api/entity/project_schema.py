"""Project schemas: the statuses and types of a project."""

from .base import Entity


class ProjectSchema(Entity):
    """The workflow of a project."""

    def get_statuses(self, schema, type_id=None):
        """The statuses that entities of the type *schema* can have; for tasks also those of a type of theirs."""
        if schema == "Task" and type_id is not None:
            return self._get_task_statuses(type_id)
        return self._get_statuses(schema)

    def get_types(self, schema):
        """The types that entities of the type *schema* can have."""
        return self._get_types(schema)
