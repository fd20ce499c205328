"""Users."""

from .base import Entity


class User(Entity):
    """A user."""

    def start_timer(self, context=None, comment="", name=None, force=False):
        """Start a timer; commits. With *force* one that runs is stopped first, else that is an error."""
        return self._start_timer(context, comment, name or "", force)

    def stop_timer(self):
        """Stop the timer that runs; commits, and returns the time log."""
        return self._stop_timer()

    def send_invite(self):
        """Send an e-mail that invites the user."""
        self.session.send_user_invite(self)

    def reset_api_key(self):
        """Make a new API key, which replaces the one before, and return it."""
        return self._reset_api_key()
