// On the first visit three steps are walked or dismissed. Only that they were is remembered, in this
// browser; nothing else is ever stored.
const steps = element.querySelector("#steps");
const KEY = "face-hash-search-steps";
const walk = [...steps.querySelectorAll("[data-step]")];

const seen = () => {
  try { return localStorage.getItem(KEY) !== null; } catch (problem) { return true; }
};
const leave = () => {
  try { localStorage.setItem(KEY, "done"); } catch (problem) { /* it is shown again next time */ }
  steps.hidden = true;
  light(-1);
};
const columns = () => document.querySelectorAll(".first > .step");
const light = (place) => columns().forEach((column, i) => {
  column.classList.toggle("lit", i === place);
});

let at = 0;
const show = () => {
  walk.forEach((step, i) => { step.hidden = i !== at; });
  light(at);
  steps.querySelector("[data-steps=next]").textContent = at === walk.length - 1 ? "Done" : "Next";
};

steps.addEventListener("click", (event) => {
  const asked = event.target.closest("[data-steps]")?.dataset.steps;
  if (asked === "next" && at < walk.length - 1) {
    at += 1;
    show();
    if (window.innerWidth <= 640) columns()[at]?.scrollIntoView({ block: "start" });
  } else if (asked) {
    leave();
  }
});
document.addEventListener("turned", (event) => {
  if (seen()) return;
  steps.hidden = event.detail !== "search";
  if (!steps.hidden) show();
});
