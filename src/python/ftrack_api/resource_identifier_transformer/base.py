"""The base class of transformers; derive from it to store resource identifiers in your own form."""


class ResourceIdentifierTransformer(object):
    """Converts resource identifiers on their way to the server and back."""

    def __init__(self, session):
        self.session = session

    def encode(self, resource_identifier, context=None):
        """The form in which the server stores it; *context* has the `component`."""
        return resource_identifier

    def decode(self, resource_identifier, context=None):
        """The reverse of `encode`."""
        return resource_identifier
