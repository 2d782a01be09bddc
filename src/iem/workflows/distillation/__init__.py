"""How a student learns from a frozen teacher."""
