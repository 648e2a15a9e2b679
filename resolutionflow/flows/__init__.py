"""Owns the flows that guide an engineer, step by step."""
