"""What several comparisons say together: repeated, one after the other in time."""
