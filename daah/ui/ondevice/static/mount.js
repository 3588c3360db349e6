// Runs inside Gradio's page: a panel is drawn by the module that it names. Until then a remembered
// switch already hides what would send a photo.
const place = element.querySelector("[data-module]");
try {
  if (localStorage.getItem("face-hash-search-on-device") === "on") {
    document.documentElement.classList.add("on-device");
  }
} catch (problem) { /* storage is refused: nothing is remembered */ }
import(new URL(place.dataset.base + place.dataset.module, document.baseURI).href)
  .then((module) => module.mount(place))
  .catch(() => {
    document.documentElement.classList.remove("on-device");
    const words = place.querySelector("[data-words]");
    if (words) {
      words.textContent = "This browser cannot run the engine, so photos are processed on the server.";
    }
  });
