from typing import List, Optional

from .base import Entity

class ProjectSchema(Entity):
    def get_statuses(self, schema: str, type_id: Optional[str] = ...) -> List[Entity]: ...
    def get_types(self, schema: str) -> List[Entity]: ...
