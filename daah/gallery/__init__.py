"""Galleries: the people that can be found. Codes in a store, aligned faces as files, provenance."""

from daah.gallery.build import BuildReport, build
from daah.gallery.folder import Gallery
from daah.gallery.provenance import Provenance
from daah.gallery.session import SessionGallery

__all__ = ["BuildReport", "Gallery", "Provenance", "SessionGallery", "build"]
