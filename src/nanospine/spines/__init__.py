"""Shaft, spines, necks, heads and types."""
