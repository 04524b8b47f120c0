"""The library: pure, typed, without paths, clocks or devices of its own."""
