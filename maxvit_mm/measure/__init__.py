"""What a network costs and how long it takes, beside its peers, as tables and charts."""
