"""Destinations: which events go to which tool, in which words, and how they get there."""
