"""Finding the best networks of a space within a budget: objectives, constraints, methods, and what was evaluated."""
