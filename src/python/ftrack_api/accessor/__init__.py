"""Accessors: what reads and writes the data of components."""

from .. import _lazy

__getattr__, __dir__ = _lazy.modules(__name__, "base", "disk", "server")
