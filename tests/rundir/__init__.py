"""Tests of rundir."""
