"""Benchmarks and error rates."""
