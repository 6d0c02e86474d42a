"""The recipe: two stages of DIFFA, at our size."""
