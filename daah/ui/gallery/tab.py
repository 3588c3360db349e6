"""The Gallery tab: who can be found, a map of the codes, and a visitor's own additions."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from daah.errors import DaahError
from daah.gallery import Entry, Gallery, SessionGallery
from daah.ui.gallery import actions, html
from daah.ui.page import html as page_html
from daah.ui.page.components import html_panel, upload
from daah.ui.page.events import REDRAWS, RUNS_NETWORK, reported
from daah.ui.search.tab import SearchTab
from daah.ui.server.inputs import share, whole
from daah.ui.state.context import DEFAULT_MODEL, AppContext
from daah.ui.state.session import ATTENTION_ON, Session


class GalleryTab:
    """Builds the tab inside the current Blocks and wires it.

    search: the Search tab, whose face is dropped into the map and which a photo is handed to.
    tabs: the tabs, to turn to the Search tab.
    """

    def __init__(
        self, context: AppContext, additions: gr.State, search: SearchTab, tabs: gr.Tabs
    ) -> None:
        self.context, self.additions, self.search, self.tabs = context, additions, search, tabs
        public = context.settings.public
        nobody = SessionGallery()
        self.summary = html_panel(
            "summary", html.summary(context.retriever.gallery, nobody, public, context.note)
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self.map = html_panel("map")
            with gr.Column(scale=1, min_width=300):
                self.entry = html_panel("entry")
                self.name = gr.Textbox(
                    label="Search by name", elem_id="name", placeholder="All people", max_lines=1
                )
                self.people = html_panel("gallery-people", self._people("", nobody))
        self._own()
        if not public:
            self._local()
        self._wire()

    def _own(self) -> None:
        minutes = self.context.settings.additions_minutes
        with gr.Accordion("Add someone for this visit", open=False, elem_id="own"):
            html_panel(
                "own-words",
                '<p class="hint">The face\'s code is kept in the memory of this server for your '
                f"visit only: nobody else can find it. It is deleted {minutes} minutes after your "
                "last change, when the page is reloaded, or earlier when the server needs "
                f"memory. At most {self.context.settings.max_additions} photos. Add only people "
                "who agree.</p>",
            )
            with gr.Row():
                self.own_photo = upload(
                    "A photo of the person", "own-photo", 220, "The photo to add"
                )
                with gr.Column():
                    self.own_name = gr.Textbox(label="Name", elem_id="own-name", max_lines=1)
                    self.own_add = gr.Button(
                        "Add for this visit", variant="primary", elem_id="own-add"
                    )
                    self.own_done = html_panel("own-done", live=True)
                    self.own_people = html_panel("own-people")

    def _local(self) -> None:
        with gr.Accordion("Change this gallery (local run)", open=False, elem_id="manage"):
            self.done = html_panel("manage-done", live=True)
            with gr.Row():
                with gr.Column():
                    self.person = gr.Textbox(label="Person", elem_id="person", max_lines=1)
                    self.files = gr.File(
                        label="Photos of the person",
                        file_count="multiple",
                        file_types=[".jpg", ".jpeg", ".png", ".webp"],
                        elem_id="files",
                    )
                    with gr.Row():
                        self.add = gr.Button("Add", variant="primary", elem_id="add")
                        self.remove = gr.Button("Remove this person", elem_id="remove")
                with gr.Column():
                    self.folder = gr.Textbox(
                        label="Import a folder",
                        info="One folder of photos for each person.",
                        elem_id="folder",
                        max_lines=1,
                    )
                    self.bring = gr.Button("Import", elem_id="import")
                    self.uri = gr.Textbox(
                        label="Search another gallery",
                        info="Its folder, or milvus://host:port/collection.",
                        value=str(self.context.retriever.gallery.folder),
                        elem_id="uri",
                        max_lines=1,
                    )
                    self.create = gr.Checkbox(
                        label="Make an empty gallery there if there is none", elem_id="create"
                    )
                    self.choose = gr.Button("Use this gallery", elem_id="choose")

    def _wire(self) -> None:
        shown = [self.summary, self.map, self.people, self.entry]
        newest = {**REDRAWS, "trigger_mode": "always_last"}
        self.name.change(self._find, [self.name, self.additions], self.people, **newest)
        known = [self.search.session, self.additions]
        turned = [self.entry, self.map, self.tabs, *self.search.whole]
        for piece in (self.map, self.people, self.entry):
            piece.select(self._open, [*known, *self.search.controls], turned, **REDRAWS)
        mine = [
            self.additions,
            self.own_photo,
            self.own_name,
            self.own_done,
            self.own_people,
            self.summary,
            self.people,
        ]
        self.own_add.click(
            self._add_own,
            [self.additions, self.own_name, self.own_photo, self.name],
            mine,
            show_progress="minimal",
            show_progress_on=self.own_done,
            **RUNS_NETWORK,
        )
        self.own_people.select(self._remove_own, [self.additions, self.name], mine, **REDRAWS)
        if self.context.settings.public:
            return
        changed = [self.done, self.person, self.files, *shown]
        loud: dict[str, Any] = {"show_progress": "full", "show_progress_on": self.done}
        self.add.click(
            self._add, [self.person, self.files, *known], changed, **RUNS_NETWORK, **loud
        )
        self.remove.click(self._remove, [self.person, *known], changed, **RUNS_NETWORK, **loud)
        self.bring.click(self._import, [self.folder, *known], changed, **RUNS_NETWORK, **loud)
        wanted = [self.uri, self.create]
        self.choose.click(self._choose, [*wanted, *known], changed, **RUNS_NETWORK, **loud)

    def show(self, session: Session | None, additions: SessionGallery) -> dict[Any, Any]:
        """Draw the tab as it is turned to."""
        gallery = self.context.retriever_for(_model(session)).gallery
        return {
            self.summary: self._summary(gallery, additions),
            self.map: self._map(session, None),
        }

    def _summary(self, gallery: Gallery, additions: SessionGallery) -> str:
        return html.summary(gallery, additions, self.context.settings.public, self.context.note)

    def _map(self, session: Session | None, chosen: Entry | None) -> str:
        query = None
        if session is not None and session.encoded[ATTENTION_ON]:
            query = session.encoded[ATTENTION_ON][session.face]
        drawn = actions.draw_map(self.context, query, _model(session))
        return html.map_picture(drawn, chosen)

    def _people(self, text: str, additions: SessionGallery) -> str:
        found, total = actions.find_people(
            self.context.retriever.gallery, additions, text, self.context.settings.people_per_page
        )
        return html.people(found, total, self._thumbnail(additions), text)

    def _thumbnail(self, additions: SessionGallery) -> html.Thumbnail:
        return lambda id: self.context.retriever.thumbnail(id, additions)

    def _find(self, text: str, additions: SessionGallery) -> str:
        return self._people(text, additions)

    def _open(
        self,
        event: gr.EventData,
        session: Session | None,
        additions: SessionGallery,
        *controls: Any,
    ) -> dict[Any, Any]:
        if event._data.get("do") == "map":
            x, y = html.unplace(share(event, "x"), share(event, "y"))
            id = actions.nearest_point(actions.draw_map(self.context, model=_model(session)), x, y)
            if id is None:
                return {self.entry: ""}
        else:
            id = whole(event, "id")
        if event._data.get("do") == "search":
            turn = {self.tabs: gr.Tabs(selected="search")}
            return {**turn, **self.search.entry(id, additions, *controls)}
        photos = actions.photos_of(self.context.retriever.gallery, additions, id)
        return {
            self.entry: html.entry(photos, self._thumbnail(additions)),
            self.map: self._map(session, photos[0]),
        }

    def _add_own(
        self, additions: SessionGallery, person: str, photo: np.ndarray | None, text: str
    ) -> dict[Any, Any]:
        warnings: list[str] = []
        try:
            most = self.context.settings.max_additions
            additions = actions.add_for_visit(
                self.context.retriever, additions, person, photo, most, warnings.append
            )
        except DaahError as problem:
            return {self.own_done: page_html.say(str(problem), "bad")}
        words = f"{person.strip()} is added for this visit. Search to find them."
        if warnings:
            words += f" A better photo would be found more often: {warnings[0]}."
        return {
            **self._mine(additions, text),
            self.own_photo: None,
            self.own_name: "",
            self.own_done: page_html.say(words, "good"),
        }

    def _remove_own(
        self, event: gr.EventData, additions: SessionGallery, text: str
    ) -> dict[Any, Any]:
        person = str(event._data.get("name", ""))
        try:
            additions = additions.remove(person)
        except DaahError as problem:
            return {self.own_done: page_html.say(str(problem), "bad")}
        return {
            **self._mine(additions, text),
            self.own_done: page_html.say(f"{person} is removed."),
        }

    def _mine(self, additions: SessionGallery, text: str) -> dict[Any, Any]:
        gallery = self.context.retriever.gallery
        return {
            self.additions: additions,
            self.own_people: html.added_people(additions),
            self.summary: self._summary(gallery, additions),
            self.people: self._people(text, additions),
        }

    # The rest is offered in a local run only, and refused again by the functions it calls.

    def _add(
        self,
        person: str,
        files: list[str] | None,
        session: Session | None,
        additions: SessionGallery,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        warnings: list[str] = []

        def work() -> str:
            added, skipped = actions.add_person(
                self.context, person, files or [], reported(progress), warnings.append
            )
            return html.outcome(added, skipped, warnings=warnings)

        return {**self._changed(work, session, additions), self.files: None}

    def _remove(
        self, person: str, session: Session | None, additions: SessionGallery
    ) -> dict[Any, Any]:
        def work() -> str:
            count = actions.remove_person(self.context, person)
            return page_html.say(
                f"{person.strip()} is removed, with {page_html.plural(count, 'photo')}.", "good"
            )

        return self._changed(work, session, additions)

    def _import(
        self,
        folder: str,
        session: Session | None,
        additions: SessionGallery,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        warnings: list[str] = []

        def work() -> str:
            added, present, skipped = actions.import_folder(
                self.context, folder, reported(progress), warnings.append
            )
            return html.outcome(added, skipped, present, warnings)

        return self._changed(work, session, additions)

    def _choose(
        self, uri: str, create: bool, session: Session | None, additions: SessionGallery
    ) -> dict[Any, Any]:
        def work() -> str:
            gallery = self.context.choose(uri, create)
            return page_html.say(
                f"Searching {gallery.name} from now on: "
                f"{page_html.plural(gallery.count(), 'photo')}.",
                "good",
            )

        return self._changed(work, session, additions, redraw=False)

    def _changed(
        self, work: Any, session: Session | None, additions: SessionGallery, redraw: bool = True
    ) -> dict[Any, Any]:
        try:
            words = work()
            if redraw:
                actions.redraw(self.context)
        except DaahError as problem:
            return {self.done: page_html.say(str(problem), "bad")}
        return {
            self.done: words,
            self.entry: "",
            self.people: self._people("", additions),
            **self.show(session, additions),
        }


def _model(session: Session | None) -> str:
    """The model by which a visitor searches, which draws the map too."""
    return session.model if session is not None else DEFAULT_MODEL
