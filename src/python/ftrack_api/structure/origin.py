"""The structure that keeps the identifiers of the source."""

from .. import _core
from .base import _CoreStructure


class OriginStructure(_CoreStructure):
    """The resource identifier in the source location: for locations that copy nothing."""

    def get_resource_identifier(self, entity, context=None):
        if not (context or {}).get("source_resource_identifier"):
            raise ValueError("the context has no source_resource_identifier, which this structure repeats")
        return super(OriginStructure, self).get_resource_identifier(entity, context)

    def _make(self):
        return _core.Structure.origin()
