"""The Rust side. Its names begin with an underscore or stand behind classes of the package: use those."""

from typing import Any

__version__: str

def __getattr__(name: str) -> Any: ...
