"""A run as a page: one self-contained HTML file, or a small table for notebooks.

Both are drawn from :class:`foretell.report.view.RunView`, which only reads what the run store
says. A page needs no network and no script; every text from data is escaped.
"""
