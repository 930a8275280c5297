"""The report: one page, complete in itself, with pictures and their data beside it."""
