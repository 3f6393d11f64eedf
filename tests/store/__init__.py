"""Tests of where histories go and arrays come from."""
