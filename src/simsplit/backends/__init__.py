"""Backends that execute kernels."""
