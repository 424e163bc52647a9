"""Custom traits: what was said of a person."""
