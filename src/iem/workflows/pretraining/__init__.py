"""How a teacher learns from pictures, and what it then knows."""
