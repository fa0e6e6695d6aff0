"""From points to tetrahedra to a watertight mesh."""
