"""The HTTP API for other programs: faces of photos, and the people and photos of the gallery."""
