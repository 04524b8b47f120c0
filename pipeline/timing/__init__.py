"""How fast and how large taggers are on this machine."""
