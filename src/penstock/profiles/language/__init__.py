"""How audiences and computed traits are described."""
