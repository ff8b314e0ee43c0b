"""Write the model.json of a file or folder that has none. What the model itself says is read from it; what only its
author knows is asked for."""
