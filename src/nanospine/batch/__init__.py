"""Whole experiments: many files under one configuration, one table, statistics and a report."""
