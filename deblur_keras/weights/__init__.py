"""The weights that ship, `<name>.keras`, each with its model card `<name>.md`."""
