from . import (
    base as base,
    disk as disk,
    server as server,
)
