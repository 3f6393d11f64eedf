"""Tests of cli.commands."""
