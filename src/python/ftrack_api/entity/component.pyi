from typing import Any, Dict, Optional, Sequence

from .base import Entity

class Component(Entity):
    def get_availability(self, locations: Optional[Sequence[Entity]] = ...) -> Dict[str, float]: ...

class CreateThumbnailMixin:
    def create_thumbnail(self, path: str, data: Any = ...) -> Entity: ...
