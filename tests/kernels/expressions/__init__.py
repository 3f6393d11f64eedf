"""Tests of kernels.expressions."""
