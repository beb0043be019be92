"""The networks of gluon_liver in the Symbol API, with operators that MXNet 1.0.0 has; for Python 2.7 and 3.

``networks`` has one file and one class a network, ``parts`` what they are made of; beside them stand the programs of
the Module API and their files. Parameters carry the structural names of the Gluon networks
("backbone.block1.0.conv1.weight"), so the map between the two is the identity. A configuration is a plain dictionary:
``gluon_liver``'s own, as a run's config.yaml holds it, with two keys more: ``classes``, the names of the foreground
classes, and for CT ``phases``, the names of the input's contrast phases, the reference phase first.
"""
