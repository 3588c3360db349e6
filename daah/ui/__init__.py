"""The screen: a Gradio page over a `FaceRetriever`. Nothing here computes what a library can."""

from daah.ui.server.uploads import claim_folder

claim_folder()  # before Gradio is imported: some of it reads the path only then
