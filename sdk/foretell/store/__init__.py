"""What is on disk: layout, ledger, head, readers and checks. Nothing here computes predictions."""
