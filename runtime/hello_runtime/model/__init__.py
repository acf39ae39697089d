"""A model file: what travels in it, and how it is checked before an engine opens it."""
