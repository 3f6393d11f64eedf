"""Tests that start programs of their own, most of them under mpiexec."""
