"""The networks, one file and one class each; :mod:`symbols.networks.catalogue` lists them."""
