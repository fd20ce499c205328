from typing import Any, Optional

from .base import Structure

class StandardStructure(Structure):
    illegal_character_substitute: Optional[str]
    project_versions_prefix: Optional[str]
    def __init__(self, project_versions_prefix: Optional[str] = ..., illegal_character_substitute: Optional[str] = ...) -> None: ...
    def sanitise_for_filesystem(self, value: Any) -> str: ...
