"""Regular grids of voxels: made from points and meshes, and read back."""
