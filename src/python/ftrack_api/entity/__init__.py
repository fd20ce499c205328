"""Entities: one class for each type that the server has."""

from .. import _lazy

__getattr__, __dir__ = _lazy.modules(__name__, "asset_version", "base", "component", "factory", "job", "location", "note", "project_schema", "user")
