"""What of the events is kept for audiences and computed traits, and what follows from it."""
