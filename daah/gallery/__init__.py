"""Galleries of enrolled people: codes in a store, aligned faces as files, provenance."""

from daah.gallery.audit import NearPair, Statistics, Verification, statistics, verify
from daah.gallery.clusters import ClusterReport, cluster, loose_photos
from daah.gallery.enrol import BuildReport, build, check_source, delete_outdated
from daah.gallery.gallery import Entry, Gallery
from daah.gallery.manifest import Named, read_list
from daah.gallery.provenance import ModelName, Provenance
from daah.gallery.recode import open_variant, rekey, renew
from daah.gallery.session import SessionGallery
from daah.gallery.transfer import copy, export_jsonl, export_parquet, records

__all__ = [
    "BuildReport",
    "ClusterReport",
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
    "cluster",
    "copy",
    "delete_outdated",
    "export_jsonl",
    "export_parquet",
    "loose_photos",
    "open_variant",
    "read_list",
    "records",
    "rekey",
    "renew",
    "statistics",
    "verify",
]
