"""Tests of simsplit."""
