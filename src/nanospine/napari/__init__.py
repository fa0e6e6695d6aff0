"""The plugin for napari: reading, cleaning, envelopes, spines, and corrections by hand.

Nothing here is imported by the rest of the library, which stays free of Qt.
"""
