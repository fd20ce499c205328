from typing import Any, Callable, Mapping

from ..event.base import Event
from .subscription import Subscription

class Subscriber:
    priority: int
    metadata: Mapping[str, Any]
    callback: Callable[[Event], Any]
    subscription: Subscription
    def __init__(self, subscription: str, callback: Callable[[Event], Any], metadata: Mapping[str, Any], priority: int) -> None: ...
    def __str__(self) -> str: ...
    def interested_in(self, event: Event) -> bool: ...
