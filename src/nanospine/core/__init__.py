"""What everything stands on: localizations, the region they were observed in, history, errors."""
