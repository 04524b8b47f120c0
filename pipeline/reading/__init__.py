"""Sentences to arrays: what a tagger reads of words, with NumPy alone."""
