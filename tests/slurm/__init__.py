"""The scripts of jobs/, really submitted to Slurm."""
