"""Tests of simsplit.monitor."""
