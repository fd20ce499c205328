"""What converts the identifiers that the server keeps."""

from .. import _lazy

__getattr__, __dir__ = _lazy.modules(__name__, "base")
