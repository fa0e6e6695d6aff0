"""The command line: one file per verb, data on stdout, talk on stderr."""
