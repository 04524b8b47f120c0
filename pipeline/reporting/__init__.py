"""What is made of evaluations: the comparison of recipes, its plots and the report."""
