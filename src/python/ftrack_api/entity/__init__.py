"""Entities: one class for each type that the server has."""

from . import asset_version, base, component, factory, job, location, note, project_schema, user  # noqa: F401
