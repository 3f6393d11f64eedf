"""Tests of history.formats."""
