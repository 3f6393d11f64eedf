"""Tests of remote.server."""
