"""VPC and transit gateway flow logs in every container: text, CSV, JSON, Parquet, OCSF."""
