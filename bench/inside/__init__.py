"""Owns the measurements that need Django; each runs in a process and on a database of its own."""
