"""The audit: the guide's checklist, measured on any image or build context.

`findings` says what a check is and what it has found, `catalogue` lists all checks.
"""
