"""The called side: objects, requests, names."""
