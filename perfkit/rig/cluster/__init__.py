"""Several machines as one bench: what is known of their clocks."""
