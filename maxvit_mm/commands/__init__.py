"""What each of `tools/` does, a file for each."""
