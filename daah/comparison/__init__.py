"""The comparison with other hashing methods: jobs, runs, reports, methods."""
