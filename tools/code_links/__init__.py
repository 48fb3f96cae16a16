"""Link the names in Python blocks to their reference.

`names` finds out what each name in an example stands for, `reference` knows what has an entry and where,
and `extension`, which `mkdocs.yml` names, writes the links.
"""
