"""The workspace document and its exports: the border between physics and statistics."""
