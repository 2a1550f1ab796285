"""Loaders: evidence files to tables. ``registry`` lists the kinds, ``dispatch`` reads a file.

One kind of evidence is one module (see ``base`` for what it must offer) and one line in the
registry.
"""
