"""The `t2` command: words in, words out.

Knows flags, tables and the terminal; does no arithmetic and takes no decisions: those are the
library's.
"""
