"""The ftrack Python API, on the Rust SDK: the official client's names, without its dependencies."""

from ._core import __version__
from . import (  # noqa: F401: scripts reach these modules without importing them
    accessor,
    attribute,
    cache,
    collection,
    data,
    entity,
    event,
    exception,
    formatter,
    inspection,
    operation,
    plugin,
    query,
    resource_identifier_transformer,
    structure,
    symbol,
)
from .accessor import base as _a, disk as _b, server as _c  # noqa: F401
from .event import base as _d, expression as _e, hub as _f, subscriber as _g, subscription as _h  # noqa: F401
from .structure import base as _i, entity_id as _j, id as _k, origin as _l, standard as _m  # noqa: F401
from .resource_identifier_transformer import base as _n  # noqa: F401
from .session import Session

del _a, _b, _c, _d, _e, _f, _g, _h, _i, _j, _k, _l, _m, _n

__all__ = ["Session", "mixin", "__version__"]


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
