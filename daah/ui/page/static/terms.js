// One bubble explains every term of the page: on hover, on focus, and on a tap until the next one.
const bubble = element.querySelector("#term-shown");
const termAt = (event) => event.target.closest?.(".term");

const explain = (term) => {
  bubble.textContent = document.getElementById(`term-${term.dataset.term}`).textContent;
  if (!bubble.matches(":popover-open")) bubble.showPopover();
  const word = term.getBoundingClientRect();
  const { width, height } = bubble.getBoundingClientRect();
  const below = word.bottom + 6 + height < window.innerHeight;
  bubble.style.left = `${Math.max(8, Math.min(word.left, window.innerWidth - width - 8))}px`;
  bubble.style.top = `${below ? word.bottom + 6 : Math.max(8, word.top - height - 6)}px`;
};
const hush = () => { if (bubble.matches(":popover-open")) bubble.hidePopover(); };

document.addEventListener("pointerover", (event) => { if (termAt(event)) explain(termAt(event)); });
document.addEventListener("pointerout", (event) => {
  if (termAt(event) && document.activeElement !== termAt(event)) hush();
});
document.addEventListener("focusin", (event) => { termAt(event) ? explain(termAt(event)) : hush(); });
document.addEventListener("focusout", (event) => { if (termAt(event)) hush(); });
document.addEventListener("click", (event) => { termAt(event) ? explain(termAt(event)) : hush(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hush();
  if (termAt(event) && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    explain(termAt(event));
  }
});
window.addEventListener("scroll", hush, { passive: true });
