"""The base class of structures; derive from it to lay out files in your own way."""


class Structure(object):
    """Determines where in a location the data of a component goes."""

    def __init__(self, prefix=""):
        self.prefix = prefix
        self.path_separator = "/"

    def get_resource_identifier(self, entity, context=None):
        """The resource identifier for a component; *context* may have `source_resource_identifier`."""
        raise NotImplementedError()

    def _get_sequence_expression(self, sequence):
        """What stands for the number in the names of a sequence's files, such as `%04d`: for derived classes."""
        return "%0{0}d".format(sequence["padding"]) if sequence["padding"] else "%d"


class _CoreStructure(Structure):
    """A structure of the SDK."""

    def _make(self):
        raise NotImplementedError()

    @property
    def _core(self):
        return self._make()

    def get_resource_identifier(self, entity, context=None):
        if not entity.entity_type.endswith("Component"):
            raise NotImplementedError("Cannot generate resource identifier for unsupported entity {0!r}".format(entity))
        source = (context or {}).get("source_resource_identifier")
        return self._make().get_resource_identifier(entity, source)


class _Opaque(Structure):
    """A structure that the SDK itself has bound."""

    def __init__(self, core):
        super(_Opaque, self).__init__()
        self._core = core

    def get_resource_identifier(self, entity, context=None):
        source = (context or {}).get("source_resource_identifier")
        return self._core.get_resource_identifier(entity, source)
