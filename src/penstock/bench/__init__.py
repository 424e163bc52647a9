"""Measurements of everything on an event's way, as ratios to limits of the same machine and run."""
