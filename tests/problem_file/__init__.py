"""Tests of problem_file."""
