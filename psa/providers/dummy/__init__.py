"""Owns the in-memory provider: for demonstrations and tests, and proof that a second provider fits."""
