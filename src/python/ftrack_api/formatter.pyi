from typing import Any, Callable, Dict, Mapping, Optional

from .entity.base import Entity

FILTER: Dict[str, Any]

def format(entity: Entity, formatters: Optional[Mapping[str, Callable[[Any], str]]] = ..., attribute_filter: Optional[Callable[[Entity, str, Any], bool]] = ..., recursive: bool = ..., indent: int = ..., indent_first_line: bool = ...) -> str: ...
