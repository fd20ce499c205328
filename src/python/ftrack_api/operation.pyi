from typing import Any, Mapping, Optional

from .session import Session

class Operation: ...

class CreateEntityOperation(Operation):
    entity_data: Any
    entity_key: Mapping[str, str]
    entity_type: str
    def __init__(self, entity_type: str, entity_key: Mapping[str, str], entity_data: Any) -> None: ...

class UpdateEntityOperation(Operation):
    new_value: Any
    old_value: Any
    attribute_name: str
    entity_key: Mapping[str, str]
    entity_type: str
    def __init__(self, entity_type: str, entity_key: Mapping[str, str], attribute_name: str, old_value: Any, new_value: Any) -> None: ...

class ExtendCollectionOperation(Operation):
    removed: Any
    added: Any
    attribute_name: str
    entity_key: Mapping[str, str]
    entity_type: str
    def __init__(self, entity_type: str, entity_key: Mapping[str, str], attribute_name: str, added: Any, removed: Any) -> None: ...

class DeleteEntityOperation(Operation):
    entity_key: Mapping[str, str]
    entity_type: str
    def __init__(self, entity_type: str, entity_key: Mapping[str, str]) -> None: ...

class Operations:
    def __init__(self, session: Optional[Session] = ...) -> None: ...
    def clear(self) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Any: ...
    def __repr__(self) -> str: ...
