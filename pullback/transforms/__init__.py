"""The transformations: a file is a transformation."""
