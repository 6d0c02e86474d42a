"""How fast responses are decoded on this machine, on random weights of a known shape."""
