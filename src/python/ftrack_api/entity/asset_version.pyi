from typing import Any

from .base import Entity

class AssetVersion(Entity):
    def create_component(self, path: str, data: Any = ..., location: Any = ...) -> Entity: ...
    def encode_media(self, media: Any, keep_original: Any = ...) -> Any: ...
