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
from daah.ui.state.context import DEFAULT_MODEL, AppContext
from daah.ui.state.session import ATTENTION_OFF, ATTENTION_ON, ATTENTION_PAINTED, Options, Session

Result = TypeVar("Result")


@dataclass(frozen=True)
class Panels:
    """The pieces that a result is drawn in, in the order of the screen."""

    sentence: gr.HTML
    boxes: gr.HTML
    chips: gr.HTML
    heatmap: gr.HTML
    paint: gr.HTML
    cover: gr.HTML
    code: gr.HTML
    matches: gr.HTML
    match: gr.HTML
    download: gr.HTML

    def all(self) -> list[gr.HTML]:
        """As outputs of an event."""
        return list(vars(self).values())


_DRAWN: dict[str, Callable[[View], str]] = {
    "sentence": search_html.verdict,
    "boxes": search_html.boxes,
    "chips": search_html.chips,
    "heatmap": search_html.heatmap,
    "paint": search_html.paint,
    "cover": search_html.covered,
    "code": search_html.code,
    "matches": search_html.matches,
    "match": search_html.detail,
    "download": search_html.download,
}


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
        # Where the slider stands, and the code length that this means.
        self.position = gr.State(retriever.bits)
        self.length = gr.State(retriever.bits)
        # The model that results are of: what is chosen becomes it once it is ready.
        self.model = gr.State(DEFAULT_MODEL)
        with gr.Row(elem_classes="search"):
            with gr.Column(scale=1, min_width=300, elem_classes="left"):
                self._inputs()
            with gr.Column(scale=2, min_width=320, elem_classes="right"):
                self._outputs()
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
        return Options(bits, self.settings.matches, _threshold(self.retriever, bits))

    def _inputs(self) -> None:
        self.photo = upload("Your photo", "photo", 280)
        self.examples = html_panel("examples", page_html.examples(EXAMPLES))
        start = self.options_at_start()
        with gr.Accordion("Options", open=False, elem_id="options"):
            self.bits = gr.Slider(
                **_lengths(self.retriever),
                value=start.bits,
                step=8,
                label="Code length",
                elem_id="bits",
                buttons=[],
            )
            self.count = gr.Slider(
                4, 24, start.count, step=1, label="Matches to show", elem_id="count", buttons=[]
            )
            self.threshold = gr.Slider(
                0,
                start.bits // 2,
                start.threshold,
                step=1,
                label="Count as a match up to N different bits",
                info=_threshold_info(self.retriever, start.bits),
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
            self.attention = gr.Radio(
                [("On", ATTENTION_ON), ("Off", ATTENTION_OFF), ("Painted", ATTENTION_PAINTED)],
                value=ATTENTION_ON,
                label="Attention",
                info="The model's own mask, none, or one that you paint.",
                elem_id="attention",
            )
            self.choice = gr.Radio(
                [
                    (self.retriever.encoder.name, DEFAULT_MODEL),
                    *((n, n) for n in self.context.others),
                ],
                value=DEFAULT_MODEL,
                label="Model",
                info=_model_info(self.context),
                elem_id="model",
                visible=bool(self.context.others),
            )

    def _outputs(self) -> None:
        start = blank(page_html.say(search_html.WAITING))
        if self.start_example is not None:
            start = draw(actions.look(self.retriever, self.start_example, self.options_at_start()))
        pieces = {"sentence": html_panel("sentence", start["sentence"], live=True)}
        for name in ("boxes", "chips", "heatmap"):
            pieces[name] = html_panel(name, start[name])
        pieces["paint"] = html_panel("paint", start["paint"], script="search/paint.js")
        for name in ("cover", "code", "matches", "match", "download"):
            pieces[name] = html_panel(name, start[name])
        self.parts = Panels(**pieces)

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
        parts.match.select(self._again, known, whole, **RUNS_NETWORK, **loud)
        self.attention.input(self._on_result(self._attention), known, whole, **RUNS_NETWORK, **loud)
        parts.code.select(
            self._on_result(self._bit, "code"),
            known,
            result,
            **RUNS_NETWORK,
            show_progress="minimal",
            show_progress_on=parts.code,
        )
        for part, answer in ((parts.heatmap, self._depends), (parts.cover, self._cover)):
            part.select(
                self._on_result(answer, part.elem_id),
                known,
                result,
                **RUNS_NETWORK,
                show_progress="minimal",
                show_progress_on=part,
            )
        parts.paint.select(
            self._on_result(self._paint, *_AROUND_CANVAS), known, result, **RUNS_NETWORK, **loud
        )

        parts.boxes.select(self._on_result(self._face), known, result, **REDRAWS)
        parts.chips.select(self._on_result(self._face), known, result, **REDRAWS)
        parts.matches.select(
            self._on_result(self._match, "code", "matches", "match"), known, result, **REDRAWS
        )
        self.bits.input(
            self._length,
            [self.position, self.bits, *known],
            [self.position, self.length, self.threshold, *result],
            **newest,
        )
        self.bits.release(self._settle, self.length, [self.bits, self.position], **REDRAWS)
        if self.context.others:
            changed = [self.model, self.position, self.length, self.bits, self.threshold]
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
        ranked = ("sentence", "chips", "heatmap", "cover", "code", "matches", "match", "download")
        for control in (self.count, self.threshold):
            control.input(self._on_result(self._same, *ranked), known, result, **newest)
        blended = self._on_result(self._same, "heatmap", "cover", "code", "match")
        self.strength.input(blended, known, result, **newest)

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
        return self._fresh(
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
        photo = example.read()
        drawn = self._search(progress, photo, session, additions, *controls)
        return {self.photo: photo, **drawn}

    def _again(
        self,
        event: gr.EventData,
        session: Session | None,
        additions: SessionGallery | None,
        *controls: Any,
    ) -> dict[Any, Any]:
        if not self._here(session) or session.match is None:
            return self._expired()
        return self.entry(session.match, additions, *controls)

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
        return {self.photo: drawn[self.session].photo, **drawn}

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
        bits, limit = retriever.bits, _threshold(retriever, retriever.bits)
        changed = {
            self.model: model,
            self.position: bits,
            self.length: bits,
            self.bits: gr.Slider(**_lengths(retriever), value=bits),
            self.threshold: gr.Slider(
                value=limit, maximum=bits // 2, info=_threshold_info(retriever, bits)
            ),
        }
        if not self._here(session):
            return {**changed, **self._expired()}
        options = replace(before, bits=bits, threshold=limit, model=model)
        return {
            **changed,
            **self._fresh(
                lambda: actions.with_model(retriever, session, model, options.attention),
                options,
                additions,
            ),
        }

    def _failed(self) -> dict[Any, Any]:
        text = "That photo gave no result; the message says why. Try again, or choose another one."
        return {self.photo: None, **self._clear(page_html.say(text, "bad"))}

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

    def _same(self, _event: gr.EventData, session: Session, _options: Options) -> Session:
        return session

    def _length(
        self,
        before: int,
        wanted: int,
        session: Session | None,
        additions: SessionGallery | None,
        length: int,
        *controls: Any,
    ) -> dict[Any, Any]:
        *_, model = controls
        retriever = self.context.retriever_for(model)
        bits = actions.snap(retriever.lengths, before, int(wanted))
        limit = _threshold(retriever, bits)
        changed = {self.position: int(wanted), self.length: bits}
        if bits != length:
            # The range stays: what is on its way may still hold the longer code's limit.
            changed[self.threshold] = gr.Slider(value=limit, info=_threshold_info(retriever, bits))
        else:
            limit = controls[1]
        if not self._here(session):
            return {**changed, **self._expired()}
        count, _, *rest = controls
        return {**changed, **self._drawn(session, Options(bits, count, limit, *rest), additions)}

    def _settle(self, length: int) -> tuple[int, int]:
        return length, length

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
        mine = self.context.additions(additions, session.model)
        drawn = draw(
            actions.look(self.context.retriever_for(session.model), session, options, mine), names
        )
        return {self.session: session, **{vars(self.parts)[n]: html for n, html in drawn.items()}}

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


def _threshold(retriever: FaceRetriever, bits: int) -> int:
    calibrated = retriever.threshold(bits)
    # Without a calibration no limit is right; this one leaves the slider in a useful place.
    return max(0, bits // 4 if calibrated is None else calibrated)


def _threshold_info(retriever: FaceRetriever, bits: int) -> str:
    if retriever.threshold(bits) is None:
        return "This checkpoint is not calibrated at this length; choose the limit yourself."
    return "By default one in a thousand pairs of different people is accepted."


def _lengths(retriever: FaceRetriever) -> dict[str, Any]:
    """The slider of code lengths; hidden where there is but one, because it needs two ends."""
    lengths = ", ".join(str(n) for n in retriever.lengths)
    return {
        "minimum": min(retriever.bits - 8, *retriever.lengths),
        "maximum": retriever.bits,
        "visible": len(retriever.lengths) > 1,
        "info": f"Bits that are compared: {lengths}. The photo is not encoded again.",
    }


def _model_info(context: AppContext) -> str:
    shipped = context.retriever.encoder.name
    words = [f"{shipped} is made for people outside its training set."]
    if "paper" in context.others:
        words.append("paper is the published network: 32x32 pixels, one length, a closed set.")
    words.append("Another model encodes the same gallery when it is first chosen.")
    words.append(f"Compare and Live use {shipped}.")
    return " ".join(words)
