"""Tests of remote.link."""
