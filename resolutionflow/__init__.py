"""Owns the host project: settings, urls and the product's own domain (accounts, flows, sessions)."""
