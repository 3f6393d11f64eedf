"""Tests of how ranks talk."""
