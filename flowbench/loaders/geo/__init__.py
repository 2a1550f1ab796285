"""Where networks are and whose they are: CSV lists, .mmdb databases, published cloud ranges."""
