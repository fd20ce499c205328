"""What a subscriber wants to have."""

from .expression import Parser


class Subscription(object):
    """A filter of events."""

    parser = Parser()

    def __init__(self, subscription):
        self._subscription = subscription
        self._expression = self.parser.parse(subscription)

    def __str__(self):
        return self._subscription

    def includes(self, event):
        """Whether the subscriber wants to have *event*."""
        return self._expression.match(event)
