"""Who it is, what they did, and which audiences they are in, now."""
