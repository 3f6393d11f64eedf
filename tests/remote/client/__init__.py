"""Tests of remote.client."""
