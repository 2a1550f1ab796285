"""What is known of addresses: one module per data source, and the address inventory."""
