"""Face detection: MTCNN's cascade, and the aligned crop of each face."""
