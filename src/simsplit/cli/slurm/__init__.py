"""Slurm scripts, sweeps over a table, and their results."""
