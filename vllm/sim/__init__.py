"""A simulator mode for vLLM: the real engine, with recorded answers in place of the model.

``docs/structure.md`` is the map of this package. Importing it costs nothing: no
module here imports vLLM's internals or torch until an engine is built.
"""
