"""What carries messages between two ranks, and ends when all ranks agree."""
