"""Spatial statistics: Ripley in any region, nearest neighbours, coupling of two channels."""
