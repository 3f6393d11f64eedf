"""Tests that start programs of their own."""
