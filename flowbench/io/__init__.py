"""Input and output of any format: byte sources, compression, archives, JSON, files."""
