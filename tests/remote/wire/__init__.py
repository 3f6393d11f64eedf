"""Tests of remote.wire."""
