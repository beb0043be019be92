"""What can be told from phantoms, and what cannot: learners with many examples, asked one question each."""
