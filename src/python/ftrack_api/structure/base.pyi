from typing import Any, Mapping, Optional

from ..entity.base import Entity

class Structure:
    path_separator: Any
    prefix: str
    def __init__(self, prefix: str = ...) -> None: ...
    def get_resource_identifier(self, entity: Entity, context: Optional[Mapping[str, Any]] = ...) -> str: ...
