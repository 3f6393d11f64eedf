"""Helpers that know nothing of simulations."""
