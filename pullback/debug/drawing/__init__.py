"""Programs as pictures: a graph of nodes, its layout in layers, and SVG."""
