"""The Gallery tab: who can be found, a map of the codes, and a visitor's own additions."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from daah.errors import DaahError, GalleryError
from daah.gallery import SessionGallery
from daah.ui.gallery import actions, html
from daah.ui.page import html as page_html
from daah.ui.page.components import Photo, part
from daah.ui.page.events import MODEL, QUICK
from daah.ui.search.tab import SearchTab
from daah.ui.server.user_error import Refusal
from daah.ui.state.context import SHIPPED, Desk
from daah.ui.state.session import MODEL as ON
from daah.ui.state.session import Session


class GalleryTab:
    """Builds the tab inside the current Blocks and wires it.

    search: the Search tab, whose face is dropped into the map and which a photo is handed to.
    tabs: the tabs, to turn to the Search tab.
    """

    def __init__(self, desk: Desk, own: gr.State, search: SearchTab, tabs: gr.Tabs) -> None:
        self.desk, self.own, self.search, self.tabs = desk, own, search, tabs
        public = desk.settings.public
        nobody = SessionGallery()
        self.summary = part("summary", html.summary(desk.retriever.gallery, nobody, public))
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self.map = part("map")
            with gr.Column(scale=1, min_width=300):
                self.entry = part("entry")
                self.name = gr.Textbox(
                    label="Search by name", elem_id="name", placeholder="All people", max_lines=1
                )
                self.people = part("people", self._people("", nobody))
        self._own()
        if not public:
            self._local()
        self._wire()

    def _own(self) -> None:
        minutes = self.desk.settings.additions_minutes
        with gr.Accordion("Add someone for this visit", open=False, elem_id="own"):
            part(
                "own-words",
                '<p class="hint">The face\'s code is kept in the memory of this server for your '
                f"visit only: nobody else finds it, and it is gone {minutes} minutes after your "
                "last change, when the page is reloaded, or earlier when the server needs the "
                f"room. At most {self.desk.settings.max_additions} photos. Add only people who "
                "agree.</p>",
            )
            with gr.Row():
                self.own_photo = Photo(
                    label="A photo of the person",
                    sources=["upload", "webcam", "clipboard"],
                    elem_id="own-photo",
                    height=220,
                    buttons=[],
                    alt_text="The photo to add",
                    placeholder="Drop a photo here, or tap to choose one",
                )
                with gr.Column():
                    self.own_name = gr.Textbox(label="Name", elem_id="own-name", max_lines=1)
                    self.own_add = gr.Button(
                        "Add for this visit", variant="primary", elem_id="own-add"
                    )
                    self.own_done = part("own-done", live=True)
                    self.own_people = part("own-people")

    def _local(self) -> None:
        with gr.Accordion("Change this gallery (local run)", open=False, elem_id="manage"):
            self.done = part("manage-done", live=True)
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
                        value=str(self.desk.retriever.gallery.folder),
                        elem_id="uri",
                        max_lines=1,
                    )
                    self.create = gr.Checkbox(
                        label="Make an empty gallery there if there is none", elem_id="create"
                    )
                    self.choose = gr.Button("Use this gallery", elem_id="choose")

    def _wire(self) -> None:
        shown = [self.summary, self.map, self.people, self.entry]
        newest = {**QUICK, "trigger_mode": "always_last"}
        self.name.change(self._find, [self.name, self.own], self.people, **newest)
        known = [self.search.session, self.own]
        turned = [self.entry, self.map, self.tabs, *self.search.whole]
        for piece in (self.map, self.people, self.entry):
            piece.select(self._open, [*known, *self.search.controls], turned, **QUICK)
        mine = [
            self.own,
            self.own_photo,
            self.own_name,
            self.own_done,
            self.own_people,
            self.summary,
            self.people,
        ]
        self.own_add.click(
            self._add_own,
            [self.own, self.own_name, self.own_photo, self.name],
            mine,
            show_progress="minimal",
            show_progress_on=self.own_done,
            **MODEL,
        )
        self.own_people.select(self._remove_own, [self.own, self.name], mine, **QUICK)
        if self.desk.settings.public:
            return
        changed = [self.done, self.person, self.files, *shown]
        loud: dict[str, Any] = {"show_progress": "full", "show_progress_on": self.done}
        self.add.click(self._add, [self.person, self.files, *known], changed, **MODEL, **loud)
        self.remove.click(self._remove, [self.person, *known], changed, **MODEL, **loud)
        self.bring.click(self._import, [self.folder, *known], changed, **MODEL, **loud)
        wanted = [self.uri, self.create]
        self.choose.click(self._choose, [*wanted, *known], changed, **MODEL, **loud)

    def show(self, session: Session | None, own: SessionGallery) -> dict[Any, Any]:
        """Draw the tab as it is turned to."""
        try:
            return {
                self.summary: html.summary(
                    self.desk.serving(_model(session)).gallery, own, self.desk.settings.public
                ),
                self.map: self._map(session, None),
            }
        except DaahError as problem:
            raise Refusal(str(problem)) from None

    def _map(self, session: Session | None, chosen: str | None) -> str:
        query = None
        if session is not None and session.encoded[ON]:
            query = session.encoded[ON][session.face]
        drawn = actions.draw_map(self.desk, query, _model(session))
        return html.map_picture(drawn, chosen)

    def _people(self, text: str, own: SessionGallery) -> str:
        found, total = actions.find_people(
            self.desk.retriever.gallery, own, text, self.desk.settings.people_per_page
        )
        return html.people(found, total, self._thumbnail(own), text)

    def _thumbnail(self, own: SessionGallery) -> html.Thumbnail:
        return lambda id: self.desk.retriever.thumbnail(id, own)

    def _find(self, text: str, own: SessionGallery) -> str:
        return self._people(text, own)

    def _open(
        self, event: gr.EventData, session: Session | None, own: SessionGallery, *controls: Any
    ) -> dict[Any, Any]:
        data = event._data
        try:
            if data.get("do") == "map":
                x, y = html.unplace(float(data["x"]), float(data["y"]))
                id = actions.nearest_point(actions.draw_map(self.desk, model=_model(session)), x, y)
                if id is None:
                    return {self.entry: ""}
            else:
                id = int(str(data["id"]))
            if data.get("do") == "search":
                turn = {self.tabs: gr.Tabs(selected="search")}
                return {**turn, **self.search.entry(id, own, *controls)}
            photos = actions.photos_of(self.desk.retriever.gallery, own, id)
            return {
                self.entry: html.entry(photos, self._thumbnail(own)),
                self.map: self._map(session, photos[0].person),
            }
        except DaahError as problem:
            raise Refusal(str(problem)) from None
        except (KeyError, TypeError, ValueError):
            raise Refusal("The page sent something that it never offers.") from None

    def _add_own(
        self, own: SessionGallery, person: str, photo: np.ndarray | None, text: str
    ) -> dict[Any, Any]:
        try:
            most = self.desk.settings.max_additions
            own = actions.add_for_visit(self.desk.retriever, own, person, photo, most)
        except DaahError as problem:
            return {self.own_done: page_html.say(str(problem), "bad")}
        words = f"{person.strip()} is added for this visit. Search to find them."
        return {
            **self._mine(own, text),
            self.own_photo: None,
            self.own_name: "",
            self.own_done: page_html.say(words, "good"),
        }

    def _remove_own(self, event: gr.EventData, own: SessionGallery, text: str) -> dict[Any, Any]:
        person = str(event._data.get("name", ""))
        try:
            own = own.remove(person)
        except DaahError as problem:
            return {self.own_done: page_html.say(str(problem), "bad")}
        return {**self._mine(own, text), self.own_done: page_html.say(f"{person} is removed.")}

    def _mine(self, own: SessionGallery, text: str) -> dict[Any, Any]:
        gallery = self.desk.retriever.gallery
        return {
            self.own: own,
            self.own_people: html.additions(own),
            self.summary: html.summary(gallery, own, self.desk.settings.public),
            self.people: self._people(text, own),
        }

    # The rest is offered in a local run only, and refused again by the functions it calls.

    def _add(
        self,
        person: str,
        files: list[str] | None,
        session: Session | None,
        own: SessionGallery,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        def work() -> str:
            added, skipped = actions.add_person(
                self.desk, person, files or [], lambda done, text: progress(done, desc=text)
            )
            return html.outcome(added, skipped)

        return {**self._changed(work, session, own), self.files: None}

    def _remove(self, person: str, session: Session | None, own: SessionGallery) -> dict[Any, Any]:
        def work() -> str:
            count = actions.remove_person(self.desk, person)
            return page_html.say(
                f"{person.strip()} is removed, with {page_html.plural(count, 'photo')}.", "good"
            )

        return self._changed(work, session, own)

    def _import(
        self,
        folder: str,
        session: Session | None,
        own: SessionGallery,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        def work() -> str:
            added, present, skipped = actions.import_folder(
                self.desk, folder, lambda done, text: progress(done, desc=text)
            )
            return html.outcome(added, skipped, present)

        return self._changed(work, session, own)

    def _choose(
        self, uri: str, create: bool, session: Session | None, own: SessionGallery
    ) -> dict[Any, Any]:
        def work() -> str:
            gallery = self.desk.choose(uri, create)
            return page_html.say(
                f"Searching {gallery.name} from now on: "
                f"{page_html.plural(gallery.count(), 'photo')}.",
                "good",
            )

        return self._changed(work, session, own, redraw=False)

    def _changed(
        self, work: Any, session: Session | None, own: SessionGallery, redraw: bool = True
    ) -> dict[Any, Any]:
        try:
            words = work()
            if redraw:
                actions.redraw(self.desk)
        except (DaahError, GalleryError) as problem:
            return {self.done: page_html.say(str(problem), "bad")}
        return {
            self.done: words,
            self.entry: "",
            self.people: self._people("", own),
            **self.show(session, own),
        }


def _model(session: Session | None) -> str:
    """The model by which a visitor searches, which draws the map too."""
    return session.model if session is not None else SHIPPED
