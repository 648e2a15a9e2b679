"""Owns the way from a provider key to its class: a dotted path, imported on first use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from psa.providers.base import Provider


class UnknownProviderError(LookupError):
    """No provider has that key; the text lists the keys there are."""


def provider_class(key: str, paths: Mapping[str, str]) -> type[Provider]:
    """Return the provider class registered under a key.

    Shape: paths is `PSA["PROVIDERS"]`: {"connectwise": "psa.providers.….ConnectWiseProvider"}.
    Raises: UnknownProviderError; ImportError or TypeError for a path that leads to no provider.
    """
    if key not in paths:
        raise UnknownProviderError(f"There is no provider {key!r}. Known: {', '.join(sorted(paths))}.")
    return _load(key, paths[key])


@cache
def _load(key: str, path: str) -> type[Provider]:
    module_name, _, class_name = path.rpartition(".")
    found = getattr(import_module(module_name), class_name, None)
    if not (isinstance(found, type) and issubclass(found, Provider)):
        raise TypeError(f"{path} is no Provider class.")
    if found.key != key:
        raise TypeError(f"{path} has the key {found.key!r}, not {key!r}.")
    return found
