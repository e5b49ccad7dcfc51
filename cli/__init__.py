"""The `t2` command: words in, words out.

Knows flags, tables and the terminal; what fits what, and every number, is the library's.
"""
