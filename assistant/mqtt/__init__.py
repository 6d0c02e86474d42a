"""Every step, published."""
