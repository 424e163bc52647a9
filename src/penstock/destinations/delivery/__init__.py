"""The consumers that bring ``events`` to destinations, and what they keep of it."""
