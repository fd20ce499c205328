"""Plugins: Python files with a function `register`."""

import hashlib
import importlib.util
import inspect
import logging
import os
import sys

_logger = logging.getLogger(__name__)


def load_source(modname, filename):
    """Load a file as the module *modname*."""
    spec = importlib.util.spec_from_file_location(modname, filename)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(module.__name__, None)
        raise
    return module


def discover(paths, positional_arguments=None, keyword_arguments=None):
    """Load the Python files below *paths* and call their `register` with as many arguments as it takes.

    A file that cannot be loaded, has no `register` or fails is logged and passed over.
    """
    positional = list(positional_arguments or [])
    keywords = dict(keyword_arguments or {})
    for path in paths:
        path = os.path.expanduser(os.path.expandvars(path.strip()))
        if not path:
            continue
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                if name.endswith(".py"):
                    _load(os.path.join(folder, name), positional, keywords)


def _load(path, positional, keywords):
    try:
        module = load_source("ftrack_plugin_" + hashlib.md5(path.encode("utf-8")).hexdigest(), path)
    except Exception:
        _logger.exception('Failed to load plugin from "%s".', path)
        return
    register = getattr(module, "register", None)
    if register is None:
        _logger.warning('Failed to load plugin that did not define a "register" function at the module level: %s', path)
        return
    try:
        given, named = _fitting(register, positional, keywords)
        register(*given, **named)
    except Exception:
        _logger.exception('Failed to register plugin from "%s".', path)


def _fitting(function, positional, keywords):
    """Those of the given arguments that *function* accepts."""
    parameters = inspect.signature(function).parameters.values()
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        positional = positional[: len(places)]
        taken = {one.name for one in places[: len(positional)]}
    else:
        taken = set()
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        names = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
        keywords = {name: value for name, value in keywords.items() if name in names - taken}
    return positional, keywords
