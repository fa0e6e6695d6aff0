"""Segmenters of voxels: one file for each method, all under one contract."""
