"""Subscribers to events."""

from .subscription import Subscription


class Subscriber(object):
    """A callback with its subscription and its metadata."""

    def __init__(self, subscription, callback, metadata, priority):
        self.subscription = Subscription(subscription)
        self.callback = callback
        self.metadata = metadata
        self.priority = priority

    def __str__(self):
        return "<{0} metadata={1} subscription={2}>".format(type(self).__name__, self.metadata, self.subscription)

    def interested_in(self, event):
        """Whether the event matches the subscription and its target matches this subscriber."""
        if not self.subscription.includes(event):
            return False
        target = event["target"]
        if not target:
            return True
        return Subscription.parser.parse(target).match_subscriber(self.metadata)
