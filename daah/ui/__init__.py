"""The screen: a Gradio page over a `FaceRetriever`. Nothing here computes what a library can."""
