"""Owns the fire test of the outbox: thousands of notes, faults, an outage, killed workers, then a count.

`python -m bench.chaos` runs every set-up this machine can run and ends with a table. A set-up is a database
and an engine, each run in a process of its own with its own environment.
"""
