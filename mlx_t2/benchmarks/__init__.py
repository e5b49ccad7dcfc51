"""Measurements that made the numbers of the README. Knows every room below; nothing imports it."""
