"""Tests of cli.problem_file."""
