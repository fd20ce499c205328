"""Subscriptions: the events that a subscriber receives."""

from .expression import Parser


class Subscription(object):
    """The filter of a subscriber."""

    parser = Parser()

    def __init__(self, subscription):
        self._subscription = subscription
        self._expression = self.parser.parse(subscription)

    def __str__(self):
        return self._subscription

    def includes(self, event):
        """Whether *event* matches."""
        return self._expression.match(event)
