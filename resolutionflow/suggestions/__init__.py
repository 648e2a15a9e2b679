"""Flows suggested for a ticket: ranked, shown to its engineer, accepted or dismissed."""
