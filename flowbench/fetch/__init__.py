"""Evidence from AWS into a case: only when asked, and only with rights to read.

from flowbench import fetch
found = fetch.prepare("s3://bucket/AWSLogs", since="2026-09-01", until="2026-09-02")
found.summary(case)
fetch.bring(case, found)
case.ingest(fetch.folder(case))

Files lie in the case exactly as AWS gave them (``shelf``), and each fetch stands in the custody log
(``record``). Needs boto3 (``flowbench[aws]``): importing this without it raises InputError.
"""

from flowbench.fetch.plan import bring, folder, prepare

__all__ = ["bring", "folder", "prepare"]
