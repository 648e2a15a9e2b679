"""Owns troubleshooting sessions: what an engineer did, and how it lands on a ticket."""
