"""Who does the arithmetic of a kernel."""
