"""Benchmarks: the same work for every contestant, in turn, with spread, machine and guarantees beside each figure."""
