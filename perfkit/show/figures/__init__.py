"""Figures: of a sweep, of a comparison, of comparisons under several loads, and of studies of several runs."""
