"""Owns what is measured against: a plain table, and a view that inserts one row into it."""
