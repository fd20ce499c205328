"""Transformers convert the resource identifiers that the server stores."""

from .. import _lazy

__getattr__, __dir__ = _lazy.modules(__name__, "base")
