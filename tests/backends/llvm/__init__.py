"""Tests of compiled kernels."""
