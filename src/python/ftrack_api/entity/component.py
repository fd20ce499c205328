"""Components: files, sequences and containers."""

from .base import Entity


class Component(Entity):
    """A component."""

    def get_availability(self, locations=None):
        """The share of the component in each location, in percent, by location id."""
        return self.session.get_component_availability(self, locations=locations)


class CreateThumbnailMixin(object):
    """For entities that have a thumbnail."""

    def create_thumbnail(self, path, data=None):
        """Upload an image as the thumbnail of this entity; commits."""
        return self._create_thumbnail(str(path), data or {})
