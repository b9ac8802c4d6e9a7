"""A trained run used: probabilities and landmarks of faces, and its export."""
