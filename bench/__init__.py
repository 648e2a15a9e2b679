"""Owns the benchmarks: each module measures one row, as a ratio within one run."""
