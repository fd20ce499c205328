"""Locations, where the data of components is stored."""

from .base import Entity


def _part(name):
    def read(self):
        return self.session._location_part(self, name)

    def write(self, value):
        self.session._bind_location(self, {name: value})

    return property(read, write)


class Location(Entity):
    """A location, with how this session uses it: an accessor, a structure, a priority."""

    #: Reads and writes the data.
    accessor = _part("accessor")
    #: Says where data goes.
    structure = _part("structure")
    #: Converts resource identifiers on their way to the server and back.
    resource_identifier_transformer = _part("resource_identifier_transformer")
    #: The lowest is picked first.
    priority = _part("priority")

    def __str__(self):
        return "<{0}({1})>".format(self.entity_type, self._id)

    def add_component(self, component, source, recursive=True):
        """Copy a component from the location *source* to this one; commits."""
        self.add_components([component], source, recursive=recursive)

    def add_components(self, components, sources, recursive=True, _depth=0):
        """Copy several components: all or none. *sources* is one location, or one for each."""
        self._add_components(components, sources, recursive)

    def remove_component(self, component, recursive=True):
        """Remove a component from this location, its data included; commits."""
        self.remove_components([component], recursive=recursive)

    def remove_components(self, components, recursive=True):
        # All or none: it fails if one of them is not here.
        self.get_resource_identifiers(components)
        self._remove_components(components, recursive)

    def get_component_availability(self, component):
        """The share of the component in this location, in percent."""
        return self.session.get_component_availability(component, locations=[self])[self._id]

    def get_component_availabilities(self, components):
        found = self.session.get_component_availabilities(components, locations=[self])
        return [availability[self._id] for availability in found]

    def get_resource_identifier(self, component):
        """The resource identifier of the component in this location."""
        return self.get_resource_identifiers([component])[0]

    def get_resource_identifiers(self, components):
        return self._resource_identifiers(components)

    def get_filesystem_path(self, component):
        """The path of the data on this machine."""
        return self.get_filesystem_paths([component])[0]

    def get_filesystem_paths(self, components):
        return self._filesystem_paths(components)

    def get_url(self, component):
        """A URL from which the data can be downloaded. It may contain credentials."""
        return self._url(component)

    def get_thumbnail_url(self, component, size=300):
        """Where an image of the component can be downloaded, at most *size* pixels wide and high, in locations that
        have such."""
        return self._thumbnail_url(component, 300 if size is None else size)


class MemoryLocationMixin(object):
    """This session, and not the server, keeps which components are in the location."""

    _binding = {"in_memory": True}


class UnmanagedLocationMixin(object):
    """Files stay where they are: nothing is copied and nothing removed."""

    _binding = {"managed": False}


class OriginLocationMixin(MemoryLocationMixin, UnmanagedLocationMixin):
    """The location of files before they are published."""

    _binding = {"in_memory": True, "managed": False}


class ServerLocationMixin(object):
    """The server's own storage."""
