"""The web app: `python app.py`, as `daah app`. Also what a Hugging Face Space runs."""

from daah.ui.settings import Settings
from daah.ui.start import first_page, run

settings = Settings.from_environment()
demo = first_page(settings)

if __name__ == "__main__":
    run(demo, settings)
