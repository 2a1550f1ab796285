"""Training with generated scenarios: a trainee's answers are compared with the answer key."""
