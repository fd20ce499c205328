from typing import Any, Optional

from . import (
    accessor as accessor,
    attribute as attribute,
    cache as cache,
    collection as collection,
    data as data,
    entity as entity,
    event as event,
    exception as exception,
    formatter as formatter,
    inspection as inspection,
    operation as operation,
    plugin as plugin,
    query as query,
    resource_identifier_transformer as resource_identifier_transformer,
    structure as structure,
    symbol as symbol,
)
from .session import Session as Session

__version__: str

def mixin(instance: entity.base.Entity, mixin_class: type, name: Optional[str] = ...) -> None: ...
