"""Figures of curves and maps."""
