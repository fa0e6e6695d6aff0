"""Pictures, meshes, tables and the report."""
