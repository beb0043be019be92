"""What prepared data hold, what is wrong with them, and how they look."""
