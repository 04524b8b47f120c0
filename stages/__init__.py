"""The stages: each reads parameters and inputs, calls the library, and writes; no science."""
