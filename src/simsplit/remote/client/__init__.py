"""The calling side: proxies, futures, batches, streams."""
