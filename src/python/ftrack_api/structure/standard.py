"""The structure that follows the project's hierarchy."""

from .. import _core
from .base import _CoreStructure


class StandardStructure(_CoreStructure):
    """Paths that follow the project's hierarchy: `project/parents/asset/v001/name.ext`."""

    def __init__(self, project_versions_prefix=None, illegal_character_substitute="_"):
        super(StandardStructure, self).__init__()
        self.project_versions_prefix = project_versions_prefix
        self.illegal_character_substitute = illegal_character_substitute

    def _make(self):
        return _core.Structure.standard(self.project_versions_prefix, self.illegal_character_substitute)

    def sanitise_for_filesystem(self, value):
        """*value* without characters that file names cannot have."""
        return _core.Structure.sanitise(value, self.illegal_character_substitute)
