"""Copies of what Penstock keeps: for other tools, and for the day the disk is gone."""
