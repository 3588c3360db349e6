"""The Gallery tab: who can be found, a map of the codes, and a visitor's own additions."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from daah.errors import DaahError
from daah.gallery import Entry, Gallery, SessionGallery
from daah.ui.gallery import actions, html
from daah.ui.gallery.manage import Drawn, ManageTab
from daah.ui.page import html as page_html
from daah.ui.page.components import html_panel, upload
from daah.ui.page.events import REDRAWS, RUNS_NETWORK
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
        self.manage = None if public else ManageTab(context, self._thumbnail(nobody))
        self._own()
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

    def _wire(self) -> None:
        shown = [self.summary, self.map, self.people, self.entry]
        newest = {**REDRAWS, "trigger_mode": "always_last"}
        self.name.change(self._find, [self.name, self.additions], self.people, **newest)
        known = [self.search.session, self.additions]
        turned = [self.entry, self.map, self.tabs, *self.search.whole]
        mine = [] if self.manage is None else [self.manage.drawn, self.manage.editor]
        given = [*known, *self.search.controls, *mine[:1]]
        for piece in (self.map, self.people, self.entry):
            piece.select(self._open, given, [*turned, *mine], **REDRAWS)
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
        if self.manage is not None:
            self.manage.wire(known, shown, self._redrawn)

    @property
    def outputs(self) -> list[Any]:
        """What `show` draws."""
        drawn = [self.summary, self.map]
        if self.manage is not None:
            drawn += [self.manage.album, self.manage.editor, self.manage.undo]
        return drawn

    @property
    def inputs(self) -> list[Any]:
        """What `show` needs to know."""
        drawn = [] if self.manage is None else [self.manage.drawn]
        return [self.search.session, self.additions, *drawn]

    def show(
        self, session: Session | None, additions: SessionGallery, drawn: Drawn | None = None
    ) -> dict[Any, Any]:
        """Draw the tab as it is turned to."""
        gallery = self.context.retriever_for(_model(session)).gallery
        return {
            self.summary: self._summary(gallery, additions),
            self.map: self._map(session, None),
            **(self.manage.show(drawn or Drawn()) if self.manage is not None else {}),
        }

    def _redrawn(self, session: Session | None, additions: SessionGallery) -> dict[Any, Any]:
        """Draw the tab after the gallery was changed."""
        return {
            self.summary: self._summary(self.context.retriever.gallery, additions),
            self.map: self._map(session, None),
            self.people: self._people("", additions),
            self.entry: "",
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
        drawn = Drawn()
        if self.manage is not None:
            *controls, drawn = controls
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
        # A visitor's own people are not the gallery's, and are removed above.
        person = photos[0].person if id >= 0 else ""
        return {
            self.entry: html.entry(photos, self._thumbnail(additions)),
            self.map: self._map(session, photos[0]),
            **(self.manage.open(drawn, person) if self.manage is not None else {}),
        }

    def _add_own(
        self, additions: SessionGallery, person: str, photo: np.ndarray | None, text: str
    ) -> dict[Any, Any]:
        warnings: list[str] = []
        taken: list[str] = []
        try:
            most = self.context.settings.max_additions
            additions = actions.add_for_visit(
                self.context.retriever,
                additions,
                person,
                photo,
                most,
                warnings.append,
                taken.append,
            )
        except DaahError as problem:
            return {self.own_done: page_html.say(str(problem), "bad")}
        words = f"{person.strip()} is added for this visit. Search to find them."
        if warnings:
            words += f" A better photo would be found more often: {warnings[0]}."
        if taken:
            words += f" The photo shows several people: {taken[0]}."
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


def _model(session: Session | None) -> str:
    """The model by which a visitor searches, which draws the map too."""
    return session.model if session is not None else DEFAULT_MODEL
