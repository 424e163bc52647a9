"""What arrived, what became of it, and whether all of it is accounted for."""
