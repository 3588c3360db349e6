"""Galleries of enrolled people: codes in a store, aligned faces as files, provenance."""

from daah.gallery.audit import NearPair, Statistics, Verification, statistics, verify
from daah.gallery.enrol import BuildReport, build, check_source, delete_outdated
from daah.gallery.gallery import Entry, Gallery
from daah.gallery.manifest import Named, read_list
from daah.gallery.provenance import ModelName, Provenance
from daah.gallery.recode import open_variant, renew
from daah.gallery.session import SessionGallery
from daah.gallery.transfer import copy, export_jsonl, export_parquet, records

__all__ = [
    "BuildReport",
    "Entry",
    "Gallery",
    "ModelName",
    "Named",
    "NearPair",
    "Provenance",
    "SessionGallery",
    "Statistics",
    "Verification",
    "build",
    "check_source",
    "copy",
    "delete_outdated",
    "export_jsonl",
    "export_parquet",
    "open_variant",
    "read_list",
    "records",
    "renew",
    "statistics",
    "verify",
]
