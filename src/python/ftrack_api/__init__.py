"""The ftrack Python API, on the Rust SDK: the official client's names, without its dependencies."""

from . import _lazy
from ._core import __version__

__all__ = ["Session", "mixin", "__version__"]

# Scripts reach these without importing them.
_module, __dir__ = _lazy.modules(
    __name__,
    "accessor",
    "attribute",
    "cache",
    "collection",
    "data",
    "entity",
    "event",
    "exception",
    "formatter",
    "inspection",
    "logging",
    "operation",
    "plugin",
    "query",
    "resource_identifier_transformer",
    "session",
    "structure",
    "symbol",
)


def __getattr__(name):
    if name == "Session":
        from .session import Session

        globals()[name] = Session
        return Session
    return _module(name)


def mixin(instance, mixin_class, name=None):
    """Give *instance* the methods of *mixin_class* too, in a class named *name*.

    The mixins of locations also say how the session uses the location: whether files are managed,
    and whether what is in it is kept in memory.
    """
    if isinstance(instance, mixin_class):
        return
    own = type(instance)
    instance.__class__ = type(name or own.__name__, (mixin_class, own), {"__module__": own.__module__})
    binding = getattr(mixin_class, "_binding", None)
    if binding:
        instance.session._bind_location(instance, binding)
