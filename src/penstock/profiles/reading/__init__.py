"""Looks at what is known of people, beside the process that writes it."""
