"""What is asked: parameters, factors, arms, and the plan that a study makes of them. Knows nothing of how it is run."""
