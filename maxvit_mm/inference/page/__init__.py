"""A page that shows what a model makes of an image: what visitors send, what they get, and who may ask for what."""
