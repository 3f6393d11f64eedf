"""Tests of cli.sweeps."""
