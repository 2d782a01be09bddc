"""Image encoders, prior heads and the teacher."""
