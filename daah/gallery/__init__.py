"""Galleries: the people that can be found. Codes in a store, aligned faces as files, provenance."""

from daah.gallery.audit import NearPair, Statistics, Verification, statistics, verify
from daah.gallery.building import BuildReport, build
from daah.gallery.folder import Entry, Gallery, ModelName
from daah.gallery.provenance import Provenance
from daah.gallery.session import SessionGallery
from daah.gallery.transfer import copy, export_jsonl, export_parquet, records

__all__ = [
    "BuildReport",
    "Entry",
    "Gallery",
    "ModelName",
    "NearPair",
    "Provenance",
    "SessionGallery",
    "Statistics",
    "Verification",
    "build",
    "copy",
    "export_jsonl",
    "export_parquet",
    "records",
    "statistics",
    "verify",
]
