"""Remote objects over MPI messages: they live on one rank and are called from others as if they were local."""

from .uri import URI, MetaURI, NameURI, ObjectURI, parse

__all__ = ["URI", "MetaURI", "NameURI", "ObjectURI", "parse"]
