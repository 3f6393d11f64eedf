"""Kernels that are written as an expression."""
