"""Helpers for logging."""

import functools
import warnings


def deprecation_warning(message):
    """A decorator that warns when the function is called."""

    def decorate(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            warnings.warn(message, PendingDeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return call

    return decorate


class LazyLogMessage(object):
    """A message that is formatted only if somebody reads it."""

    def __init__(self, message, *args, **kwargs):
        self.message = message
        self.args = args
        self.kwargs = kwargs

    def __str__(self):
        return self.message.format(*self.args, **self.kwargs)
