"""User code that events pass, on a source or before a destination."""
