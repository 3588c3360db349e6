"""The part of the Gallery tab that changes a local run's gallery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from daah.data.sources import SUFFIXES
from daah.errors import DaahError
from daah.gallery import SessionGallery, people
from daah.ui.gallery import actions, album, album_html, html
from daah.ui.gallery.album import Pair
from daah.ui.page import html as page_html
from daah.ui.page.components import html_panel
from daah.ui.page.events import RUNS_NETWORK, reported
from daah.ui.server.inputs import NEVER
from daah.ui.server.user_error import UserError
from daah.ui.state.context import AppContext
from daah.ui.state.session import Session

#: Draws the tab again, as outputs by component.
Redraw = Callable[[Session | None, SessionGallery], dict[Any, Any]]

BY_FOLDER, UNKNOWN = "One folder for each person", "I do not know: find out"


@dataclass(frozen=True)
class Drawn:
    """What a visitor of this part sees; each page has its own.

    Attributes:
        person: identifier of the person whose photos are opened; "" for nobody.
        different: pairs that were said to be different people.
        unhidden: whether hidden people are shown.
    """

    person: str = ""
    different: frozenset[Pair] = field(default_factory=frozenset)
    unhidden: bool = False


class ManageTab:
    """Builds the part inside the current Blocks; `wire` connects it.

    All of it is offered in a local run only, and refused again by the functions it calls.
    """

    def __init__(self, context: AppContext, thumbnail: html.Thumbnail) -> None:
        self.context, self._thumbnail = context, thumbnail
        self.drawn = gr.State(Drawn())
        self.editor = html_panel("edit")
        self.done = html_panel("manage-done", live=True)
        self.undo = html_panel("undo", album_html.undo(self._gallery.last_removal()))
        self.album = html_panel("unnamed", self._album(Drawn()))
        with (
            gr.Accordion("Change this gallery (local run)", open=False, elem_id="manage"),
            gr.Row(),
        ):
            with gr.Column():
                self.person = gr.Textbox(label="Person", elem_id="person", max_lines=1)
                self.files = gr.File(
                    label="Photos of the person",
                    file_count="multiple",
                    file_types=list(SUFFIXES),
                    elem_id="files",
                )
                with gr.Row():
                    self.add = gr.Button("Add", variant="primary", elem_id="add")
                    self.remove = gr.Button("Remove this person", elem_id="remove")
            with gr.Column():
                self.folder = gr.Textbox(
                    label="Import a folder",
                    info="Photos that are in the gallery already are left out.",
                    elem_id="folder",
                    max_lines=1,
                )
                self.sorting = gr.Radio(
                    [BY_FOLDER, UNKNOWN],
                    value=BY_FOLDER,
                    label="Who is on the photos",
                    elem_id="sorting",
                )
                self.bring = gr.Button("Import", elem_id="import")
                self.uri = gr.Textbox(
                    label="Search another gallery",
                    info="Its folder, or milvus://host:port/collection.",
                    value=str(self._gallery.folder),
                    elem_id="uri",
                    max_lines=1,
                )
                self.create = gr.Checkbox(
                    label="Make an empty gallery there if there is none", elem_id="create"
                )
                self.choose = gr.Button("Use this gallery", elem_id="choose")

    def wire(self, known: list[Any], shown: list[Any], redraw: Redraw) -> None:
        """Connect the events.

        known: session and additions. shown: what `redraw` draws again.
        """
        self._redraw = redraw
        mine = [self.done, self.drawn, self.editor, self.undo, self.album]
        changed = [*mine, self.person, self.files, *shown]
        more = [self.drawn, *known]
        loud: dict[str, Any] = {"show_progress": "full", "show_progress_on": self.done}
        self.add.click(self._add, [self.person, self.files, *more], changed, **RUNS_NETWORK, **loud)
        self.remove.click(self._ask, [self.person, *more], changed, **RUNS_NETWORK, **loud)
        wanted = [self.folder, self.sorting]
        self.bring.click(self._import, [*wanted, *more], changed, **RUNS_NETWORK, **loud)
        wanted = [self.uri, self.create]
        self.choose.click(self._choose, [*wanted, *more], changed, **RUNS_NETWORK, **loud)
        quiet: dict[str, Any] = {**RUNS_NETWORK, "show_progress": "hidden"}
        for part in (self.editor, self.undo, self.album):
            part.select(self._do, more, changed, **quiet)

    def open(self, drawn: Drawn, person: str) -> dict[Any, Any]:
        """Open somebody's photos for changes; nobody's for "" or the visitor's own."""
        drawn = Drawn(person, drawn.different, drawn.unhidden)
        return {self.drawn: drawn, self.editor: self._editor(drawn)}

    def show(self, drawn: Drawn) -> dict[Any, Any]:
        """Draw this part as its tab is turned to."""
        return {
            self.album: self._album(drawn),
            self.editor: self._editor(drawn),
            self.undo: album_html.undo(self._gallery.last_removal()),
        }

    @property
    def _gallery(self) -> Any:
        return self.context.retriever.gallery

    def _album(self, drawn: Drawn, question: str = "", at: str = "") -> str:
        shown = album.album(self._gallery, drawn.different)
        return album_html.album(shown, self._thumbnail, question, at, drawn.unhidden)

    def _editor(self, drawn: Drawn, question: str = "") -> str:
        if not drawn.person:
            return ""
        try:
            who, photos = album.photos(self._gallery, drawn.person)
        except DaahError:  # renamed or removed, here or in another window
            return ""
        return album_html.editor(who, photos, self._thumbnail, question)

    def _do(
        self, event: gr.EventData, drawn: Drawn, session: Session | None, additions: SessionGallery
    ) -> dict[Any, Any]:
        """What a button of the cards or the editor says."""
        said = {name: str(value) for name, value in event._data.items()}
        do, person, other = said.get("do"), said.get("person", ""), said.get("other", "")
        text = said.get("text", "")
        if do in ("keep", "photos", "fold", "unfold", "different"):
            if do == "photos":
                drawn = Drawn(person, drawn.different, drawn.unhidden)
            elif do == "different":
                different = drawn.different | {album.pair_of(person, other)}
                drawn = Drawn(drawn.person, different, drawn.unhidden)
            elif do != "keep":
                drawn = Drawn(drawn.person, drawn.different, do == "unfold")
            return {self.drawn: drawn, **self.show(drawn)}
        if do == "ask":
            return self._ask(person, drawn, session, additions)
        if do in ("name", "rename"):
            namesake = album.namesake(self._gallery, person, text) if text.strip() else None
            if namesake is not None:
                return self._ask_merge(person, namesake, drawn, in_editor=do == "rename")
        context, redraws = self.context, do in ("remove", "remove-now", "drop", "undo")
        works: dict[str | None, Callable[[], str]] = {
            "name": lambda: album.give_name(context, person, text),
            "rename": lambda: album.give_name(context, person, text),
            "merge": lambda: album.merge(context, person, other),
            "hide": lambda: album.hide(context, person, True),
            "show": lambda: album.hide(context, person, False),
            "move": lambda: album.move(context, _ids(said), text),
            "drop": lambda: album.remove(context, ids=_ids(said)),
            "remove": lambda: album.remove(context, person),
            "remove-now": lambda: album.remove(context, person, for_good=True),
            "undo": lambda: album.undo(context, said.get("removal", "")),
            "final": lambda: album.empty_trash(context),
        }
        if do not in works:
            raise UserError(NEVER)
        work = works[do]
        return self._changed(
            lambda: page_html.say(work(), "good"), drawn, session, additions, redraws
        )

    def _ask(
        self, person: str, drawn: Drawn, session: Session | None, additions: SessionGallery
    ) -> dict[Any, Any]:
        try:
            self.context.require_local()
            who = people.find(self._gallery, person)
        except DaahError as problem:
            return {self.done: page_html.say(str(problem), "bad")}
        drawn = Drawn(who.person, drawn.different, drawn.unhidden)
        return {
            self.drawn: drawn,
            self.editor: self._editor(drawn, album_html.ask_remove(who)),
        }

    def _ask_merge(
        self, person: str, namesake: Any, drawn: Drawn, in_editor: bool
    ) -> dict[Any, Any]:
        try:
            who = people.find(self._gallery, person)
        except DaahError as problem:
            return {self.done: page_html.say(str(problem), "bad")}
        question = album_html.ask_merge(who, namesake)
        if in_editor:
            return {self.editor: self._editor(drawn, question)}
        return {self.album: self._album(drawn, question, person)}

    def _add(
        self,
        person: str,
        files: list[str] | None,
        drawn: Drawn,
        session: Session | None,
        additions: SessionGallery,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        warnings: list[str] = []
        taken: list[str] = []

        def work() -> str:
            added, skipped = actions.add_person(
                self.context, person, files or [], reported(progress), warnings.append, taken.append
            )
            return html.outcome(added, skipped, warnings=warnings, taken=taken)

        return {**self._changed(work, drawn, session, additions), self.files: None}

    def _import(
        self,
        folder: str,
        sorting: str,
        drawn: Drawn,
        session: Session | None,
        additions: SessionGallery,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        warnings: list[str] = []
        taken: list[str] = []
        heard = (reported(progress), warnings.append, taken.append)

        def work() -> str:
            if sorting == UNKNOWN:
                report, found = album.import_loose(self.context, folder, *heard)
                added, present = report.added, report.present
                skipped = [(r.photo, r.reason) for r in report.examples]
                more = html.clustered(found)
            else:
                added, present, skipped = actions.import_folder(self.context, folder, *heard)
                more = ""
            return html.outcome(added, skipped, present, warnings, taken) + more

        return self._changed(work, drawn, session, additions)

    def _choose(
        self,
        uri: str,
        create: bool,
        drawn: Drawn,
        session: Session | None,
        additions: SessionGallery,
    ) -> dict[Any, Any]:
        def work() -> str:
            gallery = self.context.choose(uri, create)
            return page_html.say(
                f"Searching {gallery.name} from now on: "
                f"{page_html.plural(gallery.count(), 'photo')}.",
                "good",
            )

        return self._changed(work, Drawn(), session, additions, redraw=False)

    def _changed(
        self,
        work: Callable[[], str],
        drawn: Drawn,
        session: Session | None,
        additions: SessionGallery,
        redraw: bool = True,
    ) -> dict[Any, Any]:
        try:
            words = work()
            self._gallery.flush()
            if redraw:
                actions.redraw(self.context)
        except DaahError as problem:
            return {self.done: page_html.say(str(problem), "bad")}
        return {
            self.done: words,
            self.drawn: drawn,
            **self.show(drawn),
            **self._redraw(session, additions),
        }


def _ids(said: dict[str, str]) -> list[int]:
    """Ids of ticked photos; numbers of this length arrive as text."""
    try:
        return [int(id_) for id_ in said.get("ids", "").split()]
    except ValueError:
        raise UserError(NEVER) from None
