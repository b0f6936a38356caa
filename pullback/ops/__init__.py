"""Every primitive, whole, with all its rules. A file is a family."""
