"""Files to localizations and back; every file is opened by :mod:`nanospine.io.safe_files`."""
