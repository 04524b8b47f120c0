"""One class a peer."""
