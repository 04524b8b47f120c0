"""A trained student made into a folder that stands alone, and made smaller."""
