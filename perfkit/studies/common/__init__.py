"""What all studies have in common: parameters that make plans, and one runner of those."""
