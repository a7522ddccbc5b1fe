"""What each of `tools/` does, a file for each; train and test share `launch`."""
