"""A page for a trained model: what visitors send, what they get, and who may ask for what."""
