"""``penstock doctor``: what is wrong with a data folder, and how to mend it."""
