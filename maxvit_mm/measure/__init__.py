"""Cost, peers and charts."""
