from typing import Any, Mapping, Optional, Sequence

from .entity.base import Entity

class Error(Exception):
    traceback: Any
    details: Optional[Mapping[str, Any]]
    message: str
    default_message: str
    def __init__(self, message: Optional[str] = ..., details: Optional[Mapping[str, Any]] = ...) -> None: ...
    def __str__(self) -> str: ...

class AuthenticationError(Error):
    default_message: str

class ServerError(Error):
    default_message: str

class ServerCompatibilityError(ServerError):
    default_message: str

class NotFoundError(Error):
    default_message: str

class NotUniqueError(Error):
    default_message: str

class IncorrectResultError(Error):
    default_message: str

class NoResultFoundError(IncorrectResultError):
    default_message: str

class MultipleResultsFoundError(IncorrectResultError):
    default_message: str

class EntityTypeError(Error):
    default_message: str

class UnrecognisedEntityTypeError(EntityTypeError):
    default_message: str
    def __init__(self, entity_type: Optional[str] = ..., **kw: Any) -> None: ...

class OperationError(Error):
    default_message: str

class InvalidStateError(Error):
    default_message: str

class InvalidStateTransitionError(InvalidStateError):
    default_message: str
    def __init__(self, current_state: Any, target_state: Any, entity: Entity, **kw: Any) -> None: ...

class AttributeError(Error):
    default_message: str

class ImmutableAttributeError(AttributeError):
    default_message: str
    def __init__(self, attribute: Any = ..., **kw: Any) -> None: ...

class CollectionError(Error):
    default_message: str
    def __init__(self, collection: Any = ..., **kw: Any) -> None: ...

class ImmutableCollectionError(CollectionError):
    default_message: str

class DuplicateItemInCollectionError(CollectionError):
    default_message: str
    def __init__(self, item: Optional[Entity] = ..., collection: Any = ..., **kw: Any) -> None: ...

class ParseError(Error):
    default_message: str

class EventHubError(Error):
    default_message: str

class EventHubConnectionError(EventHubError):
    default_message: str

class EventHubPacketError(EventHubError):
    default_message: str

class PermissionDeniedError(Error):
    default_message: str

class LocationError(Error):
    default_message: str

class ComponentNotInAnyLocationError(LocationError):
    default_message: str

class ComponentNotInLocationError(LocationError):
    default_message: str
    def __init__(self, components: Sequence[Entity] = ..., location: Any = ..., **kw: Any) -> None: ...

class ComponentInLocationError(LocationError):
    default_message: str
    def __init__(self, components: Sequence[Entity] = ..., location: Any = ..., **kw: Any) -> None: ...

class AccessorError(Error):
    default_message: str

class AccessorOperationFailedError(AccessorError):
    default_message: str
    def __init__(self, operation: Any = ..., resource_identifier: Optional[str] = ..., error: Any = ..., **kw: Any) -> None: ...

class AccessorUnsupportedOperationError(AccessorOperationFailedError):
    default_message: str

class AccessorPermissionDeniedError(AccessorOperationFailedError):
    default_message: str

class AccessorResourceIdentifierError(AccessorError):
    default_message: str
    def __init__(self, resource_identifier: Optional[str] = ..., **kw: Any) -> None: ...

class AccessorFilesystemPathError(AccessorResourceIdentifierError):
    default_message: str

class AccessorResourceError(AccessorError):
    default_message: str
    def __init__(self, operation: Any = ..., resource_identifier: Optional[str] = ..., error: Any = ..., **kw: Any) -> None: ...

class AccessorResourceNotFoundError(AccessorResourceError):
    default_message: str

class AccessorParentResourceNotFoundError(AccessorResourceError):
    default_message: str

class AccessorResourceInvalidError(AccessorResourceError):
    default_message: str

class AccessorContainerNotEmptyError(AccessorResourceError):
    default_message: str

class StructureError(Error):
    default_message: str

class ConnectionClosedError(Error):
    default_message: str
