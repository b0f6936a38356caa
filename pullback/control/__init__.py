"""Primitives over programs: calls, branches, loops, custom rules. Their rules are the
transformations themselves, so they stand after `transforms/`.
"""
