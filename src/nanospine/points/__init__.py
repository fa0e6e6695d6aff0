"""From localizations to cleaner localizations."""
