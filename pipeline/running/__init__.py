"""How a stage runs: whole outputs, resumption, inputs that stand still, progress, its end."""
