"""Networks, one per file, whose parameter names are those of the published files."""
