"""What came back: results, what makes them say less, their rows, and the folders that keep them."""
