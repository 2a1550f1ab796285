"""Evidence from AWS into a case: only when asked, and only with rights to read.

``s3`` brings the objects of a period. Files lie in the case exactly as AWS gave them (``shelf``),
each fetch stands in the custody log (``record``); loading them is another step (``Case.ingest``).
"""
