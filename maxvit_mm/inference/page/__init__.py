"""A page that shows what a detector finds: what visitors send, what they get, and who may ask for what."""
