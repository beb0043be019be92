"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const classes = [...document.querySelectorAll("#classes li")].map((item) => {
    const { colour } = item.dataset;
    item.style.setProperty("--key", colour);
    return { name: item.textContent.trim(), colour };
  });
  const OVER = 20; // pictures that the latency is averaged over
  const LISTED = 6; // detections of a frame, the likeliest first
  // mode: "live" follows the newest picture, "still" stays at the one that is shown
  const view = { mode: "live", serial: -1, wanted: -1, about: null, source: { newest: -1, oldest: 0, status: "live" }, lost: false, skipped: 0, latency: null, following: false };
  const latencies = [];
  let loading = false, address = null;

  // the newest picture, or the one that was asked for, one request at a time: what cannot be shown in time is skipped
  async function load() {
    if (loading) return;
    const { newest, oldest } = view.source;
    if (view.mode === "still" && view.wanted === view.serial) return; // it stays, though it may not be kept any more
    const target = view.mode === "live" ? newest : clamp(view.wanted, oldest, newest);
    if (target < 0 || target === view.serial) return;
    loading = true;
    try {
      const response = await fetch(`frame/${target}`);
      const headed = performance.now();
      if (response.ok) await paint(await response.blob(), JSON.parse(response.headers.get("X-Frame")), headed);
      else if (view.mode === "still") view.wanted = Math.max(target + 1, view.source.oldest);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the server has gone: the events tell
    } finally {
      loading = false;
    }
    if (!view.lost) load();
  }

  async function paint(blob, about, headed) {
    const picture = at("picture"), before = address, shown = view.serial;
    address = URL.createObjectURL(blob);
    picture.src = address;
    await picture.decode();
    picture.hidden = false;
    at("waiting").hidden = true;
    if (before) URL.revokeObjectURL(before);
    view.serial = about.serial;
    view.about = about;
    picture.alt = `Frame ${about.number}: ${about.words}`;
    if (view.mode === "live") {
      if (document.visibilityState === "visible") await new Promise(requestAnimationFrame); // painted with this one
      if (view.following) { // the first one may have waited long for this page
        view.skipped += Math.max(0, about.serial - shown - 1);
        latencies.push(about.age_ms + performance.now() - headed);
        if (latencies.length > OVER) latencies.shift();
        view.latency = latencies.reduce((sum, one) => sum + one, 0) / latencies.length;
      }
      view.following = true;
    }
    draw();
  }

  const ms = (value) => (value === null || value === undefined ? "\u2013" : `${Math.round(value)} ms`);
  const times = (count) => (count === 1 ? "once" : `${count} times`);
  const plural = (count, one, more) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

  function draw() {
    const { source, about, mode } = view;
    const slider = at("place");
    slider.min = source.oldest;
    slider.max = Math.max(source.newest, source.oldest);
    slider.value = mode === "live" ? source.newest : view.wanted;
    at("live").setAttribute("aria-pressed", String(mode === "live"));
    at("pause").setAttribute("aria-pressed", String(mode === "still"));
    at("pause").textContent = mode === "still" ? "Go on" : "Pause";
    if (about) {
      at("where").textContent = `frame ${about.number}`;
      slider.setAttribute("aria-valuetext", picture_text(about));
      const behind = source.newest - view.serial;
      const gone = view.serial < source.oldest ? "; not kept any more" : "";
      at("ago").textContent = mode === "live" ? "" : `${plural(behind, "picture", "pictures")} behind the newest${gone}`;
      const rest = about.found.length - LISTED;
      const more = rest > 0 ? [words(`and ${rest} more, less likely`)] : about.found.length ? [] : [words("nothing")];
      at("found").replaceChildren(...about.found.slice(0, LISTED).map(found), ...more);
    }
    at("rate").textContent = source.rate === null || source.rate === undefined ? "\u2013" : source.rate.toFixed(1);
    at("latency").textContent = ms(view.latency);
    at("detection").textContent = ms(source.detection_ms);
    at("frames").textContent = (source.newest + 1).toLocaleString("en");
    told();
    banner();
    document.documentElement.dataset.view = JSON.stringify({
      mode, serial: view.serial, number: about ? about.number : null, status: view.lost ? "lost" : source.status,
      oldest: source.oldest, newest: source.newest, latency: view.latency, skipped: view.skipped, source,
    });
  }

  const picture_text = (about) => `frame ${about.number}: ${about.words}`;

  function found([label, score]) {
    const item = document.createElement("li"), name = document.createElement("span"), number = document.createElement("span");
    name.textContent = classes[label].name;
    number.textContent = score.toFixed(2);
    item.style.setProperty("--key", classes[label].colour);
    item.append(name, number);
    return item;
  }

  function words(text) {
    const item = document.createElement("li");
    item.className = "none";
    item.textContent = text;
    return item;
  }

  // what was lost on the way; nothing where nothing was
  function told() {
    const { dropped = 0, damaged = 0, reconnected = "", changes = [], alone = 0, newest } = view.source, lines = [];
    if (dropped) lines.push([`${plural(dropped, "frame", "frames")} dropped while the detector was at work`, false]);
    if (reconnected) lines.push([reconnected, true]);
    for (const change of changes) lines.push([change, true]);
    if (damaged) lines.push([`${plural(damaged, "frame", "frames")} could not be decoded`, true]);
    if (alone > 1) lines.push([`${plural(alone, "frame", "frames")} of ${newest + 1} had no previous frame that was seen; --every lets it keep pace`, alone > (newest + 1) / 2]);
    if (view.skipped) lines.push([`${plural(view.skipped, "picture", "pictures")} not shown: this page was slower`, false]);
    at("told").replaceChildren(...lines.map(([text, warn]) => {
      const item = document.createElement("li");
      item.textContent = text;
      if (warn) item.className = "warn";
      return item;
    }));
  }

  function banner() {
    const { status, said } = view.source, where = at("banner");
    let text = "";
    if (view.lost) text = "The connection to watch is lost: it has ended, or was stopped. The picture is the last one.";
    else if (status === "reconnecting") text = `Not live: ${said}`;
    else if (status === "ended") text = `${said[0].toUpperCase()}${said.slice(1)}`;
    else if (said) text = `${said[0].toUpperCase()}${said.slice(1)}`; // live, and yet something is to be known
    where.hidden = !text;
    where.classList.toggle("ended", status === "ended" && !view.lost);
    if (where.textContent !== text) where.textContent = text; // told once
    at("waiting").textContent = status === "ended" ? "No picture came" : "Waiting for the first picture";
  }

  function go(serial) {
    view.mode = "still";
    view.following = false;
    view.wanted = clamp(serial, view.source.oldest, Math.max(view.source.newest, 0));
    draw();
    load();
  }

  function live() {
    view.mode = "live";
    latencies.length = 0;
    draw();
    load();
  }

  // from where a step goes: where the last one led, though its picture may still be on its way
  const here = () => (view.mode === "live" ? Math.max(view.serial, 0) : view.wanted);
  const pause = () => (view.mode === "live" ? go(here()) : live());

  const KEYS = {
    ArrowLeft: () => go(here() - 1), ArrowRight: () => go(here() + 1),
    PageUp: () => go(here() - 10), PageDown: () => go(here() + 10),
    Home: () => go(view.source.oldest), End: live, l: live, L: live, " ": pause,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    if (event.key === " " && event.target.closest("button, summary")) return; // it presses these
    event.preventDefault();
    KEYS[event.key]();
  });
  at("place").addEventListener("input", (event) => go(Number(event.target.value)));
  at("pause").addEventListener("click", pause);
  at("live").addEventListener("click", live);
  at("back").addEventListener("click", () => go(here() - 1));
  at("forward").addEventListener("click", () => go(here() + 1));

  const events = new EventSource("events");
  events.onmessage = (event) => {
    view.source = JSON.parse(event.data);
    view.lost = false;
    draw();
    load();
  };
  events.onerror = () => {
    view.lost = true;
    draw();
  };
  draw();
})();
