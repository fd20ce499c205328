from typing import Any, Callable

def deprecation_warning(message: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...

class LazyLogMessage:
    kwargs: Any
    args: Any
    message: str
    def __init__(self, message: str, *args: Any, **kwargs: Any) -> None: ...
    def __str__(self) -> str: ...
