"""Owns the pages people see. Extend it with a view, a template and a test; all data comes from selectors."""
