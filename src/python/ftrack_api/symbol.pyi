from typing import Any

class Symbol:
    value: Any
    name: str
    def __init__(self, name: str, value: Any = ...) -> None: ...
    def __str__(self) -> str: ...
    def __repr__(self) -> str: ...
    def __bool__(self) -> bool: ...
    def __copy__(self) -> Any: ...
    def __deepcopy__(self, memo: Any) -> Any: ...
    def __reduce__(self) -> Any: ...
NOT_SET: Symbol
CREATED: Symbol
MODIFIED: Symbol
DELETED: Symbol
COMPONENT_ADDED_TO_LOCATION_TOPIC: str
COMPONENT_REMOVED_FROM_LOCATION_TOPIC: str
ORIGIN_LOCATION_ID: str
UNMANAGED_LOCATION_ID: str
REVIEW_LOCATION_ID: str
CONNECT_LOCATION_ID: str
SERVER_LOCATION_ID: str
CHUNK_SIZE: int
JOB_SYNC_USERS_LDAP: Symbol
