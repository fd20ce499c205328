import logging
from typing import Any, Callable, ContextManager, List, Mapping, NamedTuple, Optional, Tuple

from .base import Event
from .subscriber import Subscriber

class SocketIoSession(NamedTuple):
    id: str
    heartbeatTimeout: int
    supportedTransports: Tuple[str, ...]

class ServerDetails(NamedTuple):
    scheme: str
    hostname: str
    port: Optional[int]

class EventHub:
    logger: logging.Logger
    server: ServerDetails
    def __init__(
        self,
        server_url: str,
        api_user: str,
        api_key: str,
        headers: Optional[Mapping[str, str]] = ...,
        cookies: Optional[Mapping[str, str]] = ...,
    ) -> None: ...
    @property
    def id(self) -> str: ...
    @property
    def secure(self) -> bool: ...
    @property
    def connected(self) -> bool: ...
    def get_server_url(self) -> str: ...
    def get_network_location(self) -> str: ...
    def init_connection(self) -> None: ...
    def connect(self) -> None: ...
    def disconnect(self, unsubscribe: bool = ..., reconnect: bool = ...) -> None: ...
    def reconnect(self, attempts: int = ..., delay: float = ...) -> None: ...
    def wait(self, duration: Optional[float] = ...) -> None: ...
    def poll(self) -> int: ...
    def flush(self, timeout: float = ...) -> None: ...
    def get_subscriber_by_identifier(self, identifier: str) -> Optional[Subscriber]: ...
    def subscribe(
        self,
        subscription: str,
        callback: Callable[[Event], Any],
        subscriber: Optional[Mapping[str, Any]] = ...,
        priority: int = ...,
    ) -> str: ...
    def unsubscribe(self, subscriber_identifier: str) -> None: ...
    def publish(
        self,
        event: Event,
        synchronous: bool = ...,
        on_reply: Optional[Callable[[Event], Any]] = ...,
        on_error: str = ...,
    ) -> Optional[List[Any]]: ...
    def publish_reply(self, source_event: Event, data: Any, source: Optional[Mapping[str, Any]] = ...) -> None: ...
    def subscription(
        self,
        subscription: str,
        callback: Callable[[Event], Any],
        subscriber: Optional[Mapping[str, Any]] = ...,
        priority: int = ...,
    ) -> ContextManager[None]: ...
