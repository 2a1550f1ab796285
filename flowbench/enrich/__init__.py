"""What is known of an address: one module per source of knowledge, and the address book."""
