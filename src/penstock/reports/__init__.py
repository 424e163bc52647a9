"""Reports: typed parameters in, typed rows out."""
