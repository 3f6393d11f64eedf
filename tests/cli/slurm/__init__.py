"""Tests of cli.slurm."""
