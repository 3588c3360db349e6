// Every tab and every shipped example has an address: ?tab=compare&example=two-people. What is
// turned to becomes the address, so that Back returns, and an address opens what it names.
const known = JSON.parse(element.querySelector("[data-addresses]").dataset.addresses);
const note = element.querySelector("#address-note");
const START = "search";
const SECONDS = 60;

const tabOf = (name) => [...document.querySelectorAll('#tabs button[role="tab"]')]
  .find((tab) => tab.textContent.trim() === known[name].title);
const turnedTo = () => Object.keys(known)
  .find((name) => tabOf(name)?.getAttribute("aria-selected") === "true");

const named = () => {
  const asked = new URLSearchParams(location.search);
  return { tab: asked.get("tab") ?? START, example: asked.get("example") };
};
const write = (tab, example) => {
  const address = new URL(location);
  address.searchParams.delete("tab");
  address.searchParams.delete("example");
  if (tab !== START) address.searchParams.set("tab", tab);
  if (example) address.searchParams.set("example", example);
  if (address.search === location.search) return;
  note.hidden = true;
  history.pushState(null, "", address);
};

// What `find` finds, as soon as the page has drawn it; undefined after a minute.
const drawn = async (find) => {
  const until = performance.now() + 1000 * SECONDS;
  while (!find() && performance.now() < until) await new Promise(requestAnimationFrame);
  return find();
};

let opened = null;
const open = async () => {
  const { tab: asked, example } = named();
  const said = [];
  const tab = asked in known ? asked : START;
  if (tab !== asked) said.push(`There is no tab called ${asked}. Tabs: ${Object.keys(known).join(", ")}.`);
  const there = await drawn(() => tabOf(tab));
  if (turnedTo() !== tab) there?.click();
  const { place, examples } = known[tab];
  let wanted = example;
  if (example !== null && !examples.includes(example)) {
    said.push(examples.length
      ? `There is no example called ${example} here. Examples: ${examples.join(", ")}.`
      : "This tab has no examples.");
    wanted = null;
  } else if (example === null && opened !== null && tab === START) {
    wanted = examples[0]; // the page starts with it
  }
  note.textContent = said.join(" ");
  note.hidden = !said.length;
  if (wanted === null) return;
  // While the switch "On this device" is on, that panel has the examples of Search.
  const here = () => (tab === START && document.querySelector("html.on-device #device-search")
    ? "#device-search" : place);
  const button = () => document.querySelector(`${here()} [data-name="${CSS.escape(wanted)}"]`);
  const ready = await drawn(() => (button()?.closest("[data-ready]") ? button() : null));
  opened = example;
  ready?.click();
};

document.addEventListener("click", (event) => {
  const button = event.target.closest?.('[data-do="example"], [data-do="pair"], [data-example]');
  if (!button || !event.isTrusted) return;
  opened = button.dataset.name;
  write(turnedTo() ?? START, opened);
}, true);

// A photo of one's own is no example any more.
for (const kind of ["change", "drop", "paste"]) {
  document.addEventListener(kind, (event) => {
    if (!event.target.closest?.('[id^="photo"], #device-search .field')) return;
    opened = null;
    write(turnedTo() ?? START, null);
  }, true);
}

// The picker offers what can be read. The field's own button sends a click to its input first.
document.addEventListener("click", (event) => {
  if (event.target.matches?.('[id^="photo"] input[type="file"]')) {
    event.target.accept = "image/jpeg,image/png,image/webp";
  }
}, true);

window.addEventListener("popstate", open);
drawn(() => turnedTo()).then(async () => {
  const tell = () => document.dispatchEvent(new CustomEvent("turned", { detail: turnedTo() }));
  await open();
  tell();
  new MutationObserver(() => {
    const tab = turnedTo();
    if (!tab) return;
    tell();
    if (tab !== named().tab && (named().tab in known || tab !== START)) write(tab, null);
  }).observe(document.querySelector("#tabs"), {
    subtree: true, attributes: true, attributeFilter: ["aria-selected"],
  });
});
