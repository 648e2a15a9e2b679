"""Owns the bridge to a PSA: connections, ticket links, deliveries. Extend it with a provider package."""

__version__ = "0.1.0"
