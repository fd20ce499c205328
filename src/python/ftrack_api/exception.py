"""The exceptions of this package."""

import errno
import sys


class Error(Exception):
    """The base of all errors of this package."""

    default_message = "Unspecified error occurred."

    def __init__(self, message=None, details=None):
        if message is None:
            message = self.default_message
        self.message = message
        self.details = details if details is not None else {}
        self.traceback = ""
        if sys.exc_info()[0]:
            import traceback

            self.traceback = traceback.format_exc()
        Exception.__init__(self, message)

    def __str__(self):
        if "kind" in self.details:
            # A message of the SDK is a text, not a template.
            return str(self.message)
        try:
            return str(self.message).format(**self.details)
        except Exception:
            return str(self.message)


class AuthenticationError(Error):
    """The server does not accept the credentials."""

    default_message = "Authentication error."


class ServerError(Error):
    """The server refused a request, or its response cannot be read."""

    default_message = "Server reported error processing request."


class ServerCompatibilityError(ServerError):
    """The server is too old."""

    default_message = "Server incompatible."


class NotFoundError(Error):
    """Something does not exist."""

    default_message = "Not found."


class NotUniqueError(Error):
    """Something exists already."""

    default_message = "Non-unique value detected."


class IncorrectResultError(Error):
    """A query has an unexpected number of results."""

    default_message = "Incorrect result detected."


class NoResultFoundError(IncorrectResultError):
    """A query has no result."""

    default_message = "Expected result, but no result was found."


class MultipleResultsFoundError(IncorrectResultError):
    """A query has several results."""

    default_message = "Expected single result, but received multiple results."


class EntityTypeError(Error):
    """An error about an entity type."""

    default_message = "Entity type error."


class UnrecognisedEntityTypeError(EntityTypeError):
    """The schema has no such entity type."""

    default_message = 'Entity type "{entity_type}" not recognised.'

    def __init__(self, entity_type=None, **kw):
        kw.setdefault("details", {}).setdefault("entity_type", entity_type)
        EntityTypeError.__init__(self, **kw)


class OperationError(Error):
    """An error about an operation."""

    default_message = "Operation error."


class InvalidStateError(Error):
    """An error about the state of an entity."""

    default_message = "Invalid state."


class InvalidStateTransitionError(InvalidStateError):
    """An entity cannot change from one state to the other."""

    default_message = "Invalid transition from {current_state!r} to {target_state!r} state for entity {entity!r}"

    def __init__(self, current_state, target_state, entity, **kw):
        kw.setdefault("details", {}).update(
            current_state=current_state, target_state=target_state, entity=entity
        )
        InvalidStateError.__init__(self, **kw)


class AttributeError(Error):
    """An error about an attribute."""

    default_message = "Attribute error."


class ImmutableAttributeError(AttributeError):
    """The attribute cannot be changed."""

    default_message = "Cannot modify value of immutable {attribute.name!r} attribute."

    def __init__(self, attribute=None, **kw):
        kw.setdefault("details", {}).setdefault("attribute", attribute)
        AttributeError.__init__(self, **kw)


class CollectionError(Error):
    """An error about a collection."""

    default_message = "Collection error."

    def __init__(self, collection=None, **kw):
        kw.setdefault("details", {}).setdefault("collection", collection)
        Error.__init__(self, **kw)


class ImmutableCollectionError(CollectionError):
    """The collection cannot be changed."""

    default_message = "Cannot modify value of immutable collection {collection!r}."


class DuplicateItemInCollectionError(CollectionError):
    """The collection has that member already."""

    default_message = "Item {item!r} already exists in collection {collection!r}."

    def __init__(self, item=None, collection=None, **kw):
        kw.setdefault("details", {}).setdefault("item", item)
        CollectionError.__init__(self, collection, **kw)


class ParseError(Error):
    """A text cannot be parsed."""

    default_message = "Failed to parse."


class EventHubError(Error):
    """An error of the event hub."""

    default_message = "Event hub error occurred."


class EventHubConnectionError(EventHubError):
    """The event hub is not connected, or cannot be."""

    default_message = "Event hub is not connected."


class EventHubPacketError(EventHubError):
    """What the event server sent cannot be read."""

    default_message = "Invalid packet."


class PermissionDeniedError(Error):
    """The user may not do that."""

    default_message = "Permission denied."


class LocationError(Error):
    """An error about a location."""

    default_message = "Unspecified location error"


class ComponentNotInAnyLocationError(LocationError):
    """The component is in no location."""

    default_message = "Component not available in any location."


def _names(components):
    if not isinstance(components, (list, tuple)):
        components = [components]
    return ", ".join(str(component) for component in components)


class ComponentNotInLocationError(LocationError):
    """The components are not in the location."""

    default_message = "Component(s) {formatted_components} not found in location {location}."

    def __init__(self, components=(), location=None, **kw):
        kw.setdefault("details", {}).update(
            components=components, formatted_components=_names(components), location=location
        )
        LocationError.__init__(self, **kw)


class ComponentInLocationError(LocationError):
    """The components are in the location already."""

    default_message = "Component(s) {formatted_components} already exist in location {location}."

    def __init__(self, components=(), location=None, **kw):
        kw.setdefault("details", {}).update(
            components=components, formatted_components=_names(components), location=location
        )
        LocationError.__init__(self, **kw)


class AccessorError(Error):
    """An error of an accessor."""

    default_message = "Unspecified accessor error"


class AccessorOperationFailedError(AccessorError):
    """An operation of an accessor failed."""

    default_message = "Operation {operation} failed: {error}"

    def __init__(self, operation="", resource_identifier=None, error=None, **kw):
        kw.setdefault("details", {}).update(
            operation=operation, resource_identifier=resource_identifier, error=error
        )
        AccessorError.__init__(self, **kw)


class AccessorUnsupportedOperationError(AccessorOperationFailedError):
    """The accessor does not support the operation."""

    default_message = "Operation {operation} unsupported."


class AccessorPermissionDeniedError(AccessorOperationFailedError):
    """The accessor lacks the permission for the operation."""

    default_message = "Cannot {operation} {resource_identifier}. Permission denied."


class AccessorResourceIdentifierError(AccessorError):
    """The resource identifier is invalid for the accessor."""

    default_message = "Resource identifier is invalid: {resource_identifier}."

    def __init__(self, resource_identifier=None, **kw):
        kw.setdefault("details", {}).update(resource_identifier=resource_identifier)
        AccessorError.__init__(self, **kw)


class AccessorFilesystemPathError(AccessorResourceIdentifierError):
    """There is no path for the resource identifier."""

    default_message = "Could not determine filesystem path from resource identifier: {resource_identifier}."


class AccessorResourceError(AccessorError):
    """An error about data in an accessor."""

    default_message = "Unspecified resource error: {resource_identifier}"

    def __init__(self, operation="", resource_identifier=None, error=None, **kw):
        kw.setdefault("details", {}).update(
            operation=operation, resource_identifier=resource_identifier, error=error
        )
        AccessorError.__init__(self, **kw)


class AccessorResourceNotFoundError(AccessorResourceError):
    """There is no such data."""

    default_message = "Resource not found: {resource_identifier}"


class AccessorParentResourceNotFoundError(AccessorResourceError):
    """There is no container for the data."""

    default_message = "Parent resource is missing: {resource_identifier}"


class AccessorResourceInvalidError(AccessorResourceError):
    """The data is not what the operation needs."""

    default_message = "Resource invalid: {resource_identifier}"


class AccessorContainerNotEmptyError(AccessorResourceError):
    """The container is not empty."""

    default_message = "Container is not empty: {resource_identifier}"


class StructureError(Error):
    """An error of a structure."""

    default_message = "Unspecified structure error"


class ConnectionClosedError(Error):
    """The session is closed."""

    default_message = "Connection closed."


# The SDK names what happened by its kind. Scripts catch what the official client raises, which
# depends on whether the client or the server notices first. The classes below are both.

_classes = {}


def _both(*bases):
    """A class that is caught as each of *bases*, and named after the first."""
    if len(bases) == 1:
        return bases[0]
    if bases not in _classes:
        _classes[bases] = type(bases[0].__name__, bases, {"__module__": __name__, "__init__": Error.__init__,
                                                          "__str__": Error.__str__})
    return _classes[bases]


_NOT_EMPTY = errno.ENOTEMPTY


def _class_for(kind, about, is_of_server, errno=None):
    server = (ServerError,) if is_of_server or about == "query" else ()
    if about == "hub" and kind in ("Connection", "Timeout", "Tls", "Authentication", "Unavailable", "Closed"):
        return (EventHubConnectionError,)
    if kind == "Configuration":
        return (LocationError,) if about == "location" else (Error, TypeError)
    if kind in ("Connection", "Tls"):
        return (Error, ConnectionError)
    if kind == "Timeout":
        return (Error, TimeoutError)
    if kind == "Authentication":
        return (ServerError, AuthenticationError)
    if kind == "Permission":
        if about == "location" and not is_of_server:
            return (AccessorPermissionDeniedError, PermissionDeniedError)
        return (ServerError, PermissionDeniedError)
    if kind == "Validation":
        if about == "location" and not is_of_server:
            return (LocationError, AccessorFilesystemPathError, StructureError, ValueError)
        return (server or (Error,)) + (ValueError, KeyError)
    if kind == "Duplicate":
        if about == "location" and not is_of_server:
            return (ComponentInLocationError,)
        if about == "collection":
            return (DuplicateItemInCollectionError,)
        return server + (NotUniqueError,)
    if kind == "NotFound":
        if about == "location" and not is_of_server:
            return (ComponentNotInLocationError, AccessorResourceNotFoundError, NotFoundError)
        if about == "query":
            return (NoResultFoundError, NotFoundError)
        return server + (NoResultFoundError, NotFoundError)
    if kind == "MultipleFound":
        return (MultipleResultsFoundError,)
    if kind == "Syntax":
        return (ServerError, ParseError, ValueError) if about == "query" else (ParseError, ValueError)
    if kind == "UnknownType":
        return (UnrecognisedEntityTypeError, ServerError, KeyError, ValueError)
    if kind == "UnknownAttribute":
        return (ServerError, KeyError) if about == "query" else (AttributeError, KeyError)
    if kind == "Immutable":
        return (ImmutableAttributeError, ImmutableCollectionError)
    if kind == "WrongType":
        return server + (AttributeError, ValueError, TypeError)
    if kind == "NotLoaded":
        return (Error, KeyError)
    if kind == "Unsupported":
        if about == "location" and not is_of_server:
            return (AccessorUnsupportedOperationError,)
        return (ServerCompatibilityError, ValueError)
    if kind in ("Server", "BadResponse", "Unavailable"):
        return (ServerError,)
    if kind == "Closed":
        return (ConnectionClosedError,)
    if kind == "Io":
        if about == "location" and errno == _NOT_EMPTY:
            return (AccessorContainerNotEmptyError, OSError)
        return (AccessorOperationFailedError, OSError) if about == "location" else (Error, OSError)
    return (LocationError,) if about == "location" else (Error,)


#: What messages of the SDK call in Rust.
_WORDS = (
    ("Bind one with `Location::bind`", "Assign its accessor and its structure"),
    ("use `Target::Elsewhere`", "create the component with location=None and add its location yourself"),
    ("use `metadata()`", 'use entity["metadata"]'),
    ("use `custom_attributes()`", 'use entity["custom_attributes"]'),
    ("read it with `get`", 'read it as entity["…"]'),
)


def _from_core(message, details, about):
    """The exception for an error of the SDK."""
    kind = details["kind"]
    exception = details.get("exception")
    if kind == "Configuration":
        import re

        # The SDK names the call of its builder; Python has arguments.
        message = re.sub(r"call (\w+)\(…\) on the builder", r"give \1=…", message)
    for rust, python in _WORDS:
        message = message.replace(rust, python)
    if exception and exception not in message:
        message = "{0}\nServer reported error: {1}({2})".format(message, exception, details.get("content"))
    return _both(*_class_for(kind, about, bool(exception), details.get("errno")))(message=message, details=details)


def _kind_of(raised):
    """The kind of an exception that a callback raised."""
    for classes, kind in (
        ((AccessorResourceNotFoundError, ComponentNotInLocationError, NotFoundError, FileNotFoundError), "NotFound"),
        ((AccessorUnsupportedOperationError, NotImplementedError), "Unsupported"),
        ((AccessorPermissionDeniedError, PermissionDeniedError, PermissionError), "Permission"),
        ((AccessorResourceIdentifierError, AccessorResourceInvalidError, StructureError), "Validation"),
        ((ComponentInLocationError, FileExistsError), "Duplicate"),
        ((AccessorError, OSError), "Io"),
    ):
        if isinstance(raised, classes):
            return kind
    return "Callback"
