"""Bytes and files, whatever is in them: streams, compression, archives, JSON, discovery."""
