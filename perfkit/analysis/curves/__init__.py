"""What curves over many levels say: a knee, a law of scalability, a map of two factors."""
