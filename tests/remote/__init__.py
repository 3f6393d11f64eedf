"""Tests of remote objects."""
