/** The page: tabs, the engine's loading, and what its parts share. */

import { Compare } from "./compare.js";
import { Faces } from "./faces.js";
import { Gallery } from "./gallery.js";
import { Live } from "./live.js";
import { Search } from "./search.js";
import { byId, say } from "./words.js";

function tabs(shown) {
  const all = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const other of all) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      byId(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    shown(tab.getAttribute("aria-controls"));
  };
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  all.forEach((tab, i) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const place = { Home: 0, End: all.length - 1 }[key] ?? i + (steps[key] ?? NaN);
      const other = all[(place + all.length) % all.length];
      if (!other) return;
      other.focus();
      choose(other);
    });
  });
}

function loading(loaded, total) {
  const [some, all] = [loaded, total].map((bytes) => (bytes / 1e6).toFixed(1));
  say("status", `Loading the networks: ${some} of ${all} MB, once.`);
}

async function start() {
  let live;
  let gallery;
  tabs((name) => {
    if (name !== "live") live?.stop();
    if (name === "gallery") gallery?.show();
  });
  try {
    const faces = await Faces.load(loading);
    await faces.renew();
    gallery = new Gallery(faces);
    live = new Live(faces);
    new Search(faces);
    new Compare(faces);
    for (const field of document.querySelectorAll(":disabled")) field.disabled = false;
    say("status", "");
    document.body.dataset.ready = "yes";
    await gallery.show();
    await navigator.serviceWorker?.register("service-worker.js");
  } catch (problem) {
    say("status", `${problem.message} Nothing on this page works without that.`, "far");
  }
}

start();
