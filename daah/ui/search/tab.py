"""The Search tab: its components, and which handler answers which of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, TypeGuard, TypeVar

import gradio as gr
import numpy as np

from daah.errors import DaahError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import FaceRetriever
from daah.ui.page import html as page_html
from daah.ui.page.components import html_panel, upload
from daah.ui.page.events import REDRAWS, RUNS_NETWORK, reported
from daah.ui.page.examples import EXAMPLES
from daah.ui.search import actions, cover
from daah.ui.search import html as search_html
from daah.ui.search.view import View
from daah.ui.server.inputs import share, whole
from daah.ui.server.user_error import UserError
from daah.ui.server.visits import reason
from daah.ui.state.context import DEFAULT_MODEL, AppContext
from daah.ui.state.session import ATTENTION_OFF, ATTENTION_ON, ATTENTION_PAINTED, Options, Session

Result = TypeVar("Result")


@dataclass(frozen=True)
class Panels:
    """The pieces that a result is drawn in, in the order of the screen."""

    boxes: gr.HTML
    heatmap: gr.HTML
    code: gr.HTML
    best: gr.HTML
    sentence: gr.HTML
    chips: gr.HTML
    paint: gr.HTML
    people: gr.HTML
    match: gr.HTML
    closer: gr.HTML
    cover: gr.HTML
    cells: gr.HTML
    download: gr.HTML

    def all(self) -> list[gr.HTML]:
        """As outputs of an event."""
        return list(vars(self).values())


_DRAWN: dict[str, Callable[[View], str]] = {
    "boxes": search_html.boxes,
    "heatmap": search_html.heatmap,
    "code": search_html.code,
    "best": search_html.best,
    "sentence": search_html.verdict,
    "chips": search_html.chips,
    "paint": search_html.paint,
    "people": search_html.people,
    "match": search_html.detail,
    "closer": search_html.closer,
    "cover": search_html.covered,
    "cells": search_html.cells,
    "download": search_html.download,
}


#: What models beside the shipped one are called.
_OTHERS = {"paper": "As published (32x32 pixels, for a closed set of people)"}

#: All pieces but the canvas, which shows its own strokes.
_AROUND_CANVAS = tuple(name for name in _DRAWN if name != "paint")


def draw(view: View, names: Collection[str] = ()) -> dict[str, str]:
    """The parts of a result with these names (default: all), as HTML."""
    if not view.faces:
        return {**blank(search_html.verdict(view)), "boxes": search_html.boxes(view)}
    return {name: _DRAWN[name](view) for name in names or _DRAWN}


def blank(sentence: str) -> dict[str, str]:
    """A screen with nothing but a sentence."""
    return {**dict.fromkeys(_DRAWN, ""), "sentence": sentence}


class SearchTab:
    """Builds the tab inside the current Blocks and wires it.

    additions: the State with the visitor's own SessionGallery. landing: the finished example that a
    page starts with, or None.
    """

    def __init__(
        self, context: AppContext, additions: gr.State, start_example: Session | None
    ) -> None:
        self.context, self.settings, self.additions = context, context.settings, additions
        self.start_example = start_example
        retriever = context.retriever
        self.session = gr.State(start_example)
        # The code length that results are of, while another choice is on its way.
        self.length = gr.State(retriever.bits)
        # The model that results are of: what is chosen becomes it once it is ready.
        self.model = gr.State(DEFAULT_MODEL)
        self._build()
        self._wire()

    @property
    def retriever(self) -> FaceRetriever:
        """The retriever of the gallery that is served."""
        return self.context.retriever

    @property
    def controls(self) -> list[Any]:
        """The inputs that make an `Options`, in its order."""
        return [
            self.length,
            self.count,
            self.threshold,
            self.strength,
            self.attention,
            self.model,
        ]

    @property
    def whole(self) -> list[Any]:
        """Everything that a new search changes."""
        return [self.photo, self.session, *self.parts.all()]

    def options_at_start(self) -> Options:
        """The controls before anybody touched them."""
        bits = self.retriever.bits
        return Options(bits, self.settings.matches, bits)

    def _build(self) -> None:
        """The first strip, then what explains it."""
        drawn = blank(page_html.say(search_html.WAITING))
        start = self.options_at_start()
        if self.start_example is not None:
            drawn = draw(actions.look(self.retriever, self.start_example, start))

        def panel(name: str, **more: Any) -> gr.HTML:
            return html_panel(name, drawn[name], **more)

        with gr.Row(elem_classes="first"):
            with gr.Column(min_width=230, elem_classes="step"):
                gr.HTML(page_html.heading("Photo", "h-photo"), elem_classes="part")
                boxes = panel("boxes")
                self.photo = upload("Your photo", "photo", 120)
            with gr.Column(min_width=230, elem_classes="step"):
                gr.HTML(
                    page_html.heading("What the network sees", "h-sees", "mask"),
                    elem_classes="part",
                )
                self.attention = gr.Radio(
                    [("On", ATTENTION_ON), ("Off", ATTENTION_OFF), ("Paint", ATTENTION_PAINTED)],
                    value=ATTENTION_ON,
                    label="Attention",
                    elem_id="attention",
                    elem_classes="head",
                )
                heatmap = panel("heatmap")
            with gr.Column(min_width=230, elem_classes="step"):
                gr.HTML(page_html.heading("Code", "h-strip-code", "code"), elem_classes="part")
                self.bits = gr.Radio(
                    **_lengths(self.retriever),
                    value=start.bits,
                    label="Code length in bits",
                    elem_id="bits",
                    elem_classes="head",
                )
                code = panel("code")
            with gr.Column(min_width=230, elem_classes="step"):
                gr.HTML(page_html.heading("Best person", "h-best"), elem_classes="part")
                best = panel("best")
        sentence = panel("sentence", live=True, script="search/answer.js")
        chips = panel("chips")
        paint = panel("paint", script="search/paint.js")
        self.examples = html_panel("examples", page_html.examples(EXAMPLES))
        people = panel("people")
        match = panel("match")
        closer, cover_panel, cell_panel = panel("closer"), panel("cover"), panel("cells")
        download = panel("download")
        self._options(start)
        self.parts = Panels(
            boxes, heatmap, code, best, sentence, chips, paint, people, match, closer,
            cover_panel, cell_panel, download,
        )  # fmt: skip

    def _options(self, start: Options) -> None:
        with gr.Accordion("Options", open=False, elem_id="options"):
            self.count = gr.Slider(
                4, 24, start.count, step=1, label="People to show", elem_id="count", buttons=[]
            )
            self.threshold = gr.Slider(
                0,
                start.bits,
                start.threshold,
                step=1,
                label="Show people up to N different bits",
                info="What is a match does not depend on it.",
                elem_id="threshold",
                buttons=[],
            )
            self.strength = gr.Slider(
                0,
                1,
                start.strength,
                step=0.05,
                label="Heatmap strength",
                elem_id="strength",
                buttons=[],
            )
            self.choice = gr.Radio(
                [
                    ("For people it has never seen", DEFAULT_MODEL),
                    *((_OTHERS.get(n, n), n) for n in self.context.others),
                ],
                value=DEFAULT_MODEL,
                label="Model",
                info="The first switch encodes the gallery again (a few seconds). Compare and Live "
                "use the first one.",
                elem_id="model",
                visible=bool(self.context.others),
            )

    def _wire(self) -> None:
        parts = self.parts
        known = [self.session, self.additions, *self.controls]
        result = [self.session, *parts.all()]
        whole = self.whole
        loud: dict[str, Any] = {"show_progress": "full", "show_progress_on": parts.sentence}
        newest = {**REDRAWS, "trigger_mode": "always_last"}

        # Not by `input`: of a photo that the server set, Gradio sends the old one once more when it
        # is taken away.
        found = self.photo.upload(self._search, [self.photo, *known], whole, **RUNS_NETWORK, **loud)
        found.failure(self._failed, None, whole, **REDRAWS)
        self.photo.clear(self._cleared, None, whole, show_progress="hidden", **RUNS_NETWORK)
        shown = self.examples.select(self._example, known, whole, **RUNS_NETWORK, **loud)
        shown.failure(self._failed, None, whole, **REDRAWS)
        parts.match.select(self._on_match, known, whole, **RUNS_NETWORK, **loud)
        parts.best.select(
            self._add, [self.session, self.additions, *self.controls],
            [self.additions, *result], **RUNS_NETWORK, **loud,
        )  # fmt: skip
        self.attention.input(self._on_result(self._attention), known, whole, **RUNS_NETWORK, **loud)
        parts.cells.select(
            self._on_result(self._bit, "cells"),
            known,
            result,
            **RUNS_NETWORK,
            show_progress="minimal",
            show_progress_on=parts.cells,
        )
        for part, answer in ((parts.closer, self._depends), (parts.cover, self._cover)):
            part.select(
                self._on_result(answer, part.elem_id),
                known,
                result,
                **RUNS_NETWORK,
                show_progress="minimal",
                show_progress_on=part,
            )
        parts.download.select(
            self._card,
            known,
            result,
            **RUNS_NETWORK,
            show_progress="minimal",
            show_progress_on=parts.download,
        )
        parts.paint.select(
            self._on_result(self._paint, *_AROUND_CANVAS), known, result, **RUNS_NETWORK, **loud
        )

        parts.boxes.select(self._on_photo, known, whole, **REDRAWS)
        parts.chips.select(self._on_result(self._face), known, result, **REDRAWS)
        parts.people.select(
            self._on_result(self._match, "code", "people", "match", "cells"),
            known,
            result,
            **REDRAWS,
        )
        self.bits.input(
            self._length,
            [self.bits, *known],
            [self.length, *result],
            **newest,
        )
        if self.context.others:
            changed = [self.model, self.length, self.bits, self.threshold]
            picked = self.choice.input(
                self._model,
                [self.choice, *known],
                [*changed, *result],
                concurrency_id="coding",
                concurrency_limit=1,
                api_visibility="private",
                **loud,
            )
            picked.failure(lambda model: model, self.model, self.choice, **REDRAWS)
        self.count.input(self._on_result(self._same), known, result, **newest)
        self.threshold.input(self._on_result(self._same, "people"), known, result, **newest)
        blended = ("heatmap", "closer", "cover", "cells", "match")
        self.strength.input(self._on_result(self._same, *blended), known, result, **newest)

    # One method per event: values in, a dictionary of component and new value out. Gradio puts its
    # own arguments where they stand in the signature, so they come first.

    def _on_result(
        self, answer: Callable[[gr.EventData, Session, Options], Session | None], *names: str
    ) -> Callable[..., dict[Any, Any]]:
        """The handler of an event on a result, which says so when the result has expired.

        Args:
            answer: the session after the event, or None when nothing changes.
            names: the pieces that are drawn from it (default: all).

        Returns:
            What Gradio calls with the event, the session, the additions and the controls.
        """

        def handler(
            event: gr.EventData,
            session: Session | None,
            additions: SessionGallery | None,
            *controls: Any,
        ) -> dict[Any, Any]:
            if not self._here(session):
                return self._expired()
            options = Options(*controls)
            found = _found(lambda: answer(event, session, options))
            if found is None:
                return {self.session: session}
            return self._drawn(found, options, additions, *names)

        return handler

    def _search(
        self,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (how Gradio hands it over)
        photo: np.ndarray | None = None,
        session: Session | None = None,
        additions: SessionGallery | None = None,
        *controls: Any,
    ) -> dict[Any, Any]:
        if photo is None:
            return self._clear(page_html.say(search_html.WAITING))
        options = Options(*controls)
        drawn = self._fresh(
            lambda: actions.search(
                self.context.retriever_for(options.model),
                photo,
                options,
                self.context.additions(additions, options.model),
                reported(progress),
            ),
            options,
            additions,
        )
        # The photo is drawn with its faces; the field is free for the next one.
        return {self.photo: None, **drawn}

    def _cleared(self) -> dict[Any, Any]:
        return {self.photo: None, **self._clear(page_html.say(search_html.WAITING))}

    def _example(
        self,
        event: gr.EventData,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        session: Session | None = None,
        additions: SessionGallery | None = None,
        *controls: Any,
    ) -> dict[Any, Any]:
        example = EXAMPLES[whole(event, "index") % len(EXAMPLES)]
        return self._search(progress, example.read(), session, additions, *controls)

    def _on_match(
        self,
        event: gr.EventData,
        session: Session | None,
        additions: SessionGallery | None,
        *controls: Any,
    ) -> dict[Any, Any]:
        """The buttons on the chosen person: why, another photo, or a search with this face."""
        if not self._here(session) or session.match is None:
            return self._expired()
        if event._data.get("do") == "again":
            return self.entry(session.match, additions, *controls)
        answer = self._match if event._data.get("do") == "match" else self._depends
        return self._on_result(answer)(event, session, additions, *controls)

    def _add(
        self,
        session: Session | None,
        additions: SessionGallery | None,
        *controls: Any,
    ) -> dict[Any, Any]:
        """Add the chosen face for this visit, and find it."""
        if not self._here(session):
            return self._expired()
        options = Options(*controls)
        mine = _found(
            lambda: actions.add(
                session, options, additions or SessionGallery(), self.settings.max_additions
            )
        )
        return {self.additions: mine, **self._drawn(session, options, mine)}

    def entry(self, id: int, additions: SessionGallery | None, *controls: Any) -> dict[Any, Any]:
        """A new search with the face of a gallery entry."""
        options = Options(*controls)
        drawn = self._fresh(
            lambda: actions.search_entry(
                self.context.retriever_for(options.model),
                id,
                options,
                self.context.additions(additions, options.model),
            ),
            options,
            additions,
        )
        return {self.photo: None, **drawn}

    def _attention(self, _event: gr.EventData, session: Session, options: Options) -> Session:
        retriever = self.context.retriever_for(session.model)
        return actions.with_attention(retriever, session, options.attention)

    def _model(
        self,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        model: str = DEFAULT_MODEL,
        session: Session | None = None,
        additions: SessionGallery | None = None,
        *controls: Any,
    ) -> dict[Any, Any]:
        before = Options(*controls)
        try:
            retriever = self.context.retriever_for(model, reported(progress))
        except DaahError as problem:
            raise UserError(str(problem), title="This model cannot be used") from None
        bits = retriever.bits
        changed = {
            self.model: model,
            self.length: bits,
            self.bits: gr.Radio(**_lengths(retriever), value=bits),
            self.threshold: gr.Slider(value=bits, maximum=bits),
        }
        if not self._here(session):
            return {**changed, **self._expired()}
        options = replace(before, bits=bits, threshold=bits, model=model)
        return {
            **changed,
            **self._fresh(
                lambda: actions.with_model(retriever, session, model, options.attention),
                options,
                additions,
            ),
        }

    def _failed(self) -> dict[Any, Any]:
        text = reason("That photo gave no result. Try again, or choose another one.")
        return {self.photo: None, **self._clear(page_html.say(text, "bad"))}

    def _on_photo(
        self,
        event: gr.EventData,
        session: Session | None,
        additions: SessionGallery | None,
        *controls: Any,
    ) -> dict[Any, Any]:
        """A tap on a face of the photo, or on the button that takes the photo away."""
        if event._data.get("do") == "clear":
            return self._cleared()
        return self._on_result(self._face)(event, session, additions, *controls)

    def _face(self, event: gr.EventData, session: Session, _options: Options) -> Session | None:
        if event._data.get("do") == "face" and "x" in event._data:
            index = actions.face_at(session, share(event, "x"), share(event, "y"))
        else:
            index = whole(event, "index")
        if index is None or index == session.face:
            return None
        return actions.choose_face(session, index)

    def _match(self, event: gr.EventData, session: Session, _options: Options) -> Session:
        return actions.choose_match(session, whole(event, "id"))

    def _bit(self, event: gr.EventData, session: Session, options: Options) -> Session:
        retriever = self.context.retriever_for(session.model)
        return actions.choose_bit(retriever, session, options, whole(event, "index"))

    def _depends(self, _event: gr.EventData, session: Session, options: Options) -> Session:
        return actions.regions_of(self.context.retriever_for(session.model), session, options)

    def _cover(self, event: gr.EventData, session: Session, options: Options) -> Session:
        retriever = self.context.retriever_for(session.model)
        return cover.cover(retriever, session, options, str(event._data.get("kind", "")))

    def _card(
        self, session: Session | None, additions: SessionGallery | None, *controls: Any
    ) -> dict[Any, Any]:
        """The result as a picture, which is drawn when it is asked for."""
        if not self._here(session):
            return self._expired()
        view = self._look(session, Options(*controls), additions)
        drawn = search_html.download(view, drawn=True) if view.faces else ""
        return {self.parts.download: drawn}

    def _same(self, _event: gr.EventData, session: Session, _options: Options) -> Session:
        return session

    def _length(
        self,
        bits: int,
        session: Session | None,
        additions: SessionGallery | None,
        _before: int,
        *controls: Any,
    ) -> dict[Any, Any]:
        *_, model = controls
        if bits not in self.context.retriever_for(model).lengths:
            return {self.length: _before}
        changed = {self.length: bits}
        if not self._here(session):
            return {**changed, **self._expired()}
        return {**changed, **self._drawn(session, Options(bits, *controls), additions)}

    def _paint(self, event: gr.EventData, session: Session, options: Options) -> Session | None:
        if options.attention != ATTENTION_PAINTED or not session.encoded[ATTENTION_ON]:
            return None
        painting = actions.painted_mask(str(event._data.get("mask") or ""))
        return actions.paint(self.context.retriever_for(session.model), session, painting)

    def _here(self, session: Session | None) -> TypeGuard[Session]:
        return session is not None and not session.expired(self.settings.keep_seconds)

    def _fresh(
        self, work: Callable[[], Session], options: Options, additions: SessionGallery | None
    ) -> dict[Any, Any]:
        """Run the network, and draw what it found."""
        return self._drawn(_found(work), options, additions)

    def _drawn(
        self, session: Session, options: Options, additions: SessionGallery | None, *names: str
    ) -> dict[Any, Any]:
        """The session, and the parts with these names (default: all) drawn from it."""
        drawn = draw(self._look(session, options, additions), names)
        return {self.session: session, **{vars(self.parts)[n]: html for n, html in drawn.items()}}

    def _look(self, session: Session, options: Options, additions: SessionGallery | None) -> View:
        mine = self.context.additions(additions, session.model)
        return actions.look(self.context.retriever_for(session.model), session, options, mine)

    def _clear(self, sentence: str) -> dict[Any, Any]:
        pieces = vars(self.parts)
        drawn = {pieces[name]: html for name, html in blank(sentence).items()}
        return {self.session: None, **drawn}

    def _expired(self) -> dict[Any, Any]:
        text = page_html.EXPIRED.format(after=self.settings.keep_words)
        return self._clear(page_html.say(text, "bad"))


def _found(work: Callable[[], Result]) -> Result:
    """What `work` returns. Its errors are told under a title of their own."""
    try:
        return work()
    except DaahError as problem:
        raise UserError(str(problem), title="No result") from None


def _lengths(retriever: FaceRetriever) -> dict[str, Any]:
    """The choice of code lengths; hidden where there is but one."""
    return {"choices": list(retriever.lengths), "visible": len(retriever.lengths) > 1}
