"""What is under test: the counters, what serves them, and the server process. Knows nothing of measuring."""
