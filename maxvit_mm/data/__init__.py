"""A user's folder checked; the embedded data sets."""
