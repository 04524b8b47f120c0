"""What a student needs where PyTorch is not installed: NumPy alone."""
