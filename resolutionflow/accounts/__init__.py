"""Owns who works here: tenants, people, roles and API tokens."""
