"""Owns what the session pages are made of besides views: forms, rows, tickets, what was typed."""
