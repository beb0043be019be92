"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("data"), images = read("images");
  const at = (id) => document.getElementById(id);
  const count = data.places.length, number = (slice) => data.numbers[slice], phases = data.phases.length, colour = (k) => `rgb(${data.colours[k].join(",")})`;
  // up goes to the head in a volume and to earlier frames in a recording
  const up = data.frames ? -1 : 1;
  const what = data.frames ? "frame" : "slice";
  const isolated = (name) => `\u2068${name}\u2069`; // names that run from right to left leave the words around them in order
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const low = data.table[0], high = data.table[255];
  const start = data.lesions.length ? data.lesions[0].best : Math.floor((count - 1) / 2);
  const state = {
    slice: data.frames ? 0 : start, phase: data.reference, tile: false, preset: 0, width: 0, level: 0,
    score: data.threshold === undefined ? 0.5 : data.threshold, truth: true, found: true,
    // part: fractions of left, top, right and bottom of the picture that a panel shows whole, null where zoom, x and y say
    zoom: 1, x: 0.5, y: 0.5, part: data.body, lesion: null,
  };

  // pictures: decoded when they are needed, the last ones kept
  const cache = new Map();
  const KEPT = 96;
  function codes(phase, slice) {
    const key = phase * count + slice;
    let entry = cache.get(key);
    if (entry) { cache.delete(key); cache.set(key, entry); return entry; }
    entry = { pixels: null, missing: images[key] === null };
    cache.set(key, entry);
    if (cache.size > KEPT) cache.delete(cache.keys().next().value);
    if (!entry.missing) {
      const image = new Image();
      image.onload = () => {
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        entry.columns = canvas.width; entry.rows = canvas.height;
        entry.pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
        if (slice === state.slice) later();
      };
      image.onerror = () => { entry.missing = true; later(); };
      image.src = images[key];
    }
    return entry;
  }

  // window: what grey each of the 256 codes is shown with
  const grey = new Uint8ClampedArray(256);
  function fillGrey() {
    const black = state.level - state.width / 2;
    for (let code = 0; code < 256; code++) grey[code] = 255 * (data.table[code] - black) / state.width;
  }

  const panels = [];
  const stage = at("stage");
  function shownPhases() { return state.tile ? data.phases.map((_, k) => k) : [state.phase]; }

  // tiles: as many columns as make them largest
  function layout(number) {
    const width = stage.clientWidth, height = stage.clientHeight, aspect = data.width / (data.height * data.aspect);
    let best = null;
    for (let columns = 1; columns <= number; columns++) {
      const rows = Math.ceil(number / columns), tile = [width / columns, height / rows];
      const side = Math.min(tile[0] / aspect, tile[1]);
      if (!best || side > best.side) best = { side, columns, tile };
    }
    return best;
  }

  function panel(index) {
    while (panels.length <= index) {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      stage.append(canvas);
      panels.push({ canvas, buffer: document.createElement("canvas") });
    }
    return panels[index];
  }

  // where a panel shows the picture: CSS pixels of its left top corner, and CSS pixels of one stored pixel
  function place(tile) {
    const { fit, zoom, x, y } = seen(tile);
    const sx = fit * zoom, sy = sx * data.aspect;
    return { left: tile[0] / 2 - x * data.width * sx, top: tile[1] / 2 - y * data.height * sy, sx, sy };
  }
  function seen(tile) {
    const whole = (width, height) => Math.min(tile[0] / (width * data.width), tile[1] / (height * data.height * data.aspect));
    const fit = whole(1, 1);
    if (!state.part) return { fit, zoom: state.zoom, x: state.x, y: state.y };
    const [left, top, right, bottom] = state.part;
    return { fit, zoom: clamp(whole(right - left, bottom - top) / fit, 1, 12), x: (left + right) / 2, y: (top + bottom) / 2 };
  }
  // from here on zoom, x and y say what is shown
  function settle() {
    const { zoom, x, y } = seen(layout(shownPhases().length).tile);
    Object.assign(state, { zoom, x, y, part: null });
  }

  let planned = false;
  function later() { if (!planned) { planned = true; requestAnimationFrame(() => { planned = false; draw(); }); } }

  function draw() {
    const shown = shownPhases(), grid = layout(shown.length), ratio = window.devicePixelRatio || 1;
    fillGrey();
    let waiting = false;
    shown.forEach((phase, index) => {
      const { canvas, buffer } = panel(index), [w, h] = grid.tile;
      canvas.hidden = false;
      canvas.style.cssText = `left:${(index % grid.columns) * w}px;top:${Math.floor(index / grid.columns) * h}px;width:${w}px;height:${h}px`;
      const wide = Math.round(w * ratio), tall = Math.round(h * ratio);
      if (canvas.width !== wide || canvas.height !== tall) { canvas.width = wide; canvas.height = tall; }
      const context = canvas.getContext("2d");
      const entry = codes(phase, state.slice);
      waiting = waiting || (!entry.pixels && !entry.missing);
      if (!entry.pixels && !entry.missing) return; // the last picture stays until this one is there
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.fillStyle = "#000";
      context.fillRect(0, 0, w, h);
      const to = place(grid.tile);
      if (entry.pixels) {
        paint(entry, buffer);
        context.imageSmoothingEnabled = to.sx < 6;
        context.imageSmoothingQuality = "high";
        context.drawImage(buffer, to.left, to.top, data.width * to.sx, data.height * to.sy);
      } else {
        words(context, `${data.phases[phase]} has no such ${what}`, w / 2, h / 2, "#d0d5dd", "center");
      }
      if (entry.pixels) boxes(context, to, w, h);
      if (!data.frames) letters(context, phase, w, h);
      canvas.setAttribute("aria-label", describe(phase));
    });
    panels.forEach((one, index) => { if (index >= shown.length) one.canvas.hidden = true; });
    controls();
    if (!waiting) ahead(shown);
    // what is on the screen, for tests
    document.documentElement.dataset.view = JSON.stringify({
      ...state, places: count, ready: !waiting, shown: shown.map((k) => data.phases[k]),
      truthBoxes: truthHere().length, foundBoxes: foundHere().length, panels: shown.length,
    });
  }

  function paint(entry, buffer) {
    if (buffer.width !== entry.columns || buffer.height !== entry.rows) { buffer.width = entry.columns; buffer.height = entry.rows; }
    const context = buffer.getContext("2d"), picture = context.createImageData(entry.columns, entry.rows);
    const from = entry.pixels, to = picture.data;
    for (let k = 0; k < from.length; k += 4) {
      to[k] = grey[from[k]]; to[k + 1] = grey[from[k + 1]]; to[k + 2] = grey[from[k + 2]]; to[k + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  const truthHere = () => (state.truth ? data.truth.filter((box) => box[0] === state.slice) : []);
  const foundHere = () => (state.found && data.detections ? data.detections.filter((box) => box[0] === state.slice && box[6] >= state.score) : []);

  function boxes(context, to, w, h) {
    const taken = [], texts = []; // texts come last, so that no box crosses them
    const one = (box, name, ink, dashed) => {
      const x = to.left + box[2] * to.sx, y = to.top + box[3] * to.sy;
      const width = (box[4] - box[2]) * to.sx, height = (box[5] - box[3]) * to.sy;
      context.setLineDash([]);
      context.lineWidth = 4; context.strokeStyle = "rgba(0,0,0,.55)"; context.strokeRect(x, y, width, height);
      context.setLineDash(dashed ? [6, 4] : []);
      context.lineWidth = 2; context.strokeStyle = ink; context.strokeRect(x, y, width, height);
      context.setLineDash([]);
      texts.push([name, ink, x, y, width, height]);
    };
    truthHere().forEach((box) => one(box, ["true ", data.classes[box[1]], ""], "#fff", true));
    foundHere().forEach((box) => one(box, ["", data.classes[box[1]], ` ${box[6].toFixed(2)}`], colour(box[1]), false));
    texts.forEach((text) => label(context, ...text, w, h, taken));
  }

  // above the box, else below it, else inside; where another label stands, the next place
  function label(context, [before, name, after], ink, x, y, width, height, w, h, taken) {
    context.font = "600 12.5px system-ui, 'DejaVu Sans', sans-serif";
    let text = before + isolated(name) + after;
    const tall = 18, most = Math.max(0.4 * w, 110);
    for (let end = name.length - 1; end > 0 && context.measureText(text).width > most; end--) text = before + isolated(`${name.slice(0, end).trimEnd()}…`) + after;
    const long = context.measureText(text).width + 8;
    const left = clamp(x - 1, 0, Math.max(0, w - long));
    const tops = [y - tall - 2, y + height + 2, y + 2, y + height - tall - 2, y - 2 * tall - 4, y + height + tall + 4];
    const free = tops.find((top) => top >= 0 && top + tall <= h &&
      !taken.some((other) => left < other[0] + other[2] && other[0] < left + long && top < other[1] + tall && other[1] < top + tall));
    if (free === undefined) return;
    taken.push([left, free, long]);
    context.fillStyle = "rgba(12,14,18,.82)"; context.fillRect(left, free, long, tall);
    context.fillStyle = ink; context.textAlign = "left"; context.textBaseline = "middle";
    context.fillText(text, left + 4, free + tall / 2 + 0.5);
  }

  function words(context, text, x, y, ink, align) {
    context.font = "600 13px system-ui, 'DejaVu Sans', sans-serif";
    context.textAlign = align; context.textBaseline = "middle";
    context.lineWidth = 3; context.strokeStyle = "rgba(0,0,0,.8)"; context.strokeText(text, x, y);
    context.fillStyle = ink; context.fillText(text, x, y);
  }

  // axial slices as prepared: the patient's right is on the left of the picture
  function letters(context, phase, w, h) {
    words(context, data.phases[phase], 10, 15, "#fff", "left");
    words(context, "R", 10, h / 2, "#d0d5dd", "left");
    words(context, "L", w - 10, h / 2, "#d0d5dd", "right");
  }

  function describe(phase) {
    const parts = [`${data.phases[phase]}, ${what} ${number(state.slice)}, ${data.places[state.slice]}`];
    const named = (some, word) => some.length ? `${word}: ` + some.map((box) => data.classes[box[1]]).join(", ") : `no ${word}`;
    if (state.truth) parts.push(labelled.has(state.slice) ? named(truthHere(), "true boxes") : "not labelled");
    if (data.detections && state.found) parts.push(named(foundHere(), "detections"));
    return parts.join("; ");
  }

  function ahead(shown) {
    for (const step of [1, -1, 2, -2]) {
      const slice = state.slice + step;
      if (slice >= 0 && slice < count) shown.forEach((phase) => codes(phase, slice));
    }
    if (!state.tile) for (let phase = 0; phase < phases; phase++) codes(phase, state.slice);
  }

  // controls
  const labelled = new Set(data.labelled);
  const slider = at("slice"), width = at("width"), level = at("level"), score = at("score");
  function button(parent, text, press) {
    const one = document.createElement("button");
    one.type = "button"; one.textContent = text;
    one.addEventListener("click", press);
    parent.append(one);
    return one;
  }
  const phaseButtons = phases > 1 ? data.phases.map((name, k) => button(at("phases"), name, () => one(k))) : [];
  if (phases > 1) phaseButtons.push(button(at("phases"), "all", tile));
  const presetButtons = data.windows.map((entry, k) => button(at("presets"), entry.name, () => preset(k)));
  presetButtons.forEach((one, k) => { one.title = `width ${data.windows[k].width}, level ${data.windows[k].level} ${data.unit}`; });

  function one(phase) { state.phase = phase; state.tile = false; later(); }
  function tile() { state.tile = true; later(); }
  function preset(k) {
    state.preset = k; state.width = data.windows[k].width; state.level = data.windows[k].level;
    later();
  }
  function go(slice, lesion) {
    state.slice = clamp(Math.round(slice), 0, count - 1);
    state.lesion = lesion === undefined ? null : lesion;
    later();
  }

  slider.max = count - 1;
  width.min = data.unit === "HU" ? 10 : 8; width.max = Math.round(high - low); width.step = data.unit === "HU" ? 5 : 1;
  level.min = Math.round(low); level.max = Math.round(high); level.step = data.unit === "HU" ? 5 : 1;
  slider.addEventListener("input", () => go(Number(slider.value)));
  width.addEventListener("input", () => { state.width = Number(width.value); state.preset = -1; later(); });
  level.addEventListener("input", () => { state.level = Number(level.value); state.preset = -1; later(); });
  if (score) score.addEventListener("input", () => { state.score = Number(score.value); lists(); later(); });
  at("truth").addEventListener("change", (event) => { state.truth = event.target.checked; later(); });
  if (at("found")) at("found").addEventListener("change", (event) => { state.found = event.target.checked; later(); });
  if (!data.labelled.length) at("truth-row").replaceChildren("no labels");
  if (data.detections) {
    data.classes.forEach((name, k) => {
      const item = document.createElement("li"), key = document.createElement("i");
      key.className = "key solid"; key.style.setProperty("--key", colour(k));
      item.append(key, name);
      at("classes").append(item);
    });
  }

  const jumps = []; // buttons with the entry that each goes to
  function list(title, entries, empty, text) {
    const heading = document.createElement("h2"), items = document.createElement("ul");
    heading.textContent = title; items.className = "list";
    at("lists").append(heading, items);
    if (!entries.length) { const none = document.createElement("li"); none.className = "none"; none.textContent = empty; items.append(none); }
    entries.forEach((entry) => {
      const item = document.createElement("li"), [name, more] = text(entry);
      const press = button(item, "", () => go(entry.best, entry)), small = document.createElement("small");
      const strong = document.createElement("span"); strong.textContent = name; small.textContent = more;
      press.append(strong, small);
      items.append(item);
      jumps.push([press, entry]);
    });
  }
  const range = (entry) => entry.first === entry.last ? `${what} ${number(entry.first)}` : `${what}s ${number(entry.first)} to ${number(entry.last)}`;
  function lists() {
    at("lists").replaceChildren();
    jumps.length = 0;
    if (data.frames) {
      list(`Scenes (${data.lesions.length})`, data.lesions, "no labelled frame", (e) => [e.name, range(e)]);
    } else {
      const none = data.labelled.length ? "none drawn" : "this study has no labels";
      list(`True lesions (${data.lesions.length})`, data.lesions, none, (e) => [`${isolated(e.name)}, ${e.text}`, range(e)]);
    }
    if (data.detections && !data.frames) {
      const found = data.found.filter((e) => e.score >= state.score);
      list(`Detected lesions (${found.length})`, found, `none with a score of ${state.score.toFixed(2)} or more`, (e) => [`${isolated(e.name)} ${e.score.toFixed(2)}, ${e.text}`, range(e)]);
    }
    marks();
  }

  // above the slider: where true boxes (upper half) and detections (lower half) are
  function marks() {
    const canvas = at("marks"), ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
    canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    const context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const bar = (slice, top, tall, ink) => {
      context.fillStyle = ink;
      const wide = Math.max((w - 16) / count, 2); // the slider's knob is 16 pixels wide
      context.fillRect(8 + (count > 1 ? slice / (count - 1) : 0.5) * (w - 16) - wide / 2, top, wide, tall);
    };
    const half = data.detections ? h / 2 : h;
    new Set(data.truth.map((box) => box[0])).forEach((slice) => bar(slice, 0, half - 0.5, style.getPropertyValue("--ink")));
    (data.detections || []).forEach((box) => { if (box[6] >= state.score) bar(box[0], half + 0.5, half - 0.5, style.getPropertyValue("--accent")); });
  }

  let timer = 0;
  function controls() {
    at("where").textContent = `${what} ${number(state.slice)} (${number(0)} to ${number(count - 1)}), ${data.places[state.slice]}`;
    slider.value = state.slice;
    slider.setAttribute("aria-valuetext", `${what} ${number(state.slice)}, ${data.places[state.slice]}`);
    phaseButtons.forEach((one, k) => one.setAttribute("aria-pressed", String(k === phases ? state.tile : !state.tile && k === state.phase)));
    presetButtons.forEach((one, k) => one.setAttribute("aria-pressed", String(k === state.preset)));
    width.value = state.width; level.value = state.level;
    at("width-out").textContent = `${Math.round(state.width)}${data.unit === "HU" ? " HU" : ""}`;
    at("level-out").textContent = `${Math.round(state.level)}${data.unit === "HU" ? " HU" : ""}`;
    at("truth") && (at("truth").checked = state.truth);
    if (score) { score.value = state.score; at("score-out").textContent = state.score.toFixed(2); at("found").checked = state.found; }
    jumps.forEach(([press, entry]) => press.setAttribute("aria-current", String(entry.first <= state.slice && state.slice <= entry.last)));
    clearTimeout(timer);
    timer = setTimeout(() => { at("said").textContent = shownPhases().map(describe).join(". "); }, 500);
  }

  // keys
  function jump(step) {
    const entries = data.lesions.length ? data.lesions : (data.found || []).filter((e) => e.score >= state.score);
    if (!entries.length) return;
    const now = entries.indexOf(state.lesion);
    const next = now < 0 ? (step > 0 ? 0 : entries.length - 1) : (now + step + entries.length) % entries.length;
    go(entries[next].best, entries[next]);
  }
  function zoom(factor, x, y) {
    settle();
    const before = state.zoom;
    state.zoom = clamp(state.zoom * factor, 1, 12);
    if (x !== undefined) { // the point under the pointer stays where it is
      const share = 1 - before / state.zoom;
      state.x += (x - state.x) * share; state.y += (y - state.y) * share;
    }
    keep();
  }
  function keep() {
    const half = 0.5 / state.zoom;
    state.x = clamp(state.x, half, 1 - half); state.y = clamp(state.y, half, 1 - half);
    later();
  }
  const keys = {
    ArrowUp: () => go(state.slice + up), ArrowDown: () => go(state.slice - up),
    PageUp: () => go(state.slice + 10 * up), PageDown: () => go(state.slice - 10 * up),
    Home: () => go(0), End: () => go(count - 1),
    ArrowLeft: () => turn(-1), ArrowRight: () => turn(1),
    w: () => preset((state.preset + 1) % data.windows.length),
    n: () => jump(1), p: () => jump(-1),
    b: () => { state.truth = !state.truth; later(); }, d: () => { state.found = !state.found; later(); },
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), z: () => { Object.assign(state, { part: state.part ? null : data.body, zoom: 1, x: 0.5, y: 0.5 }); later(); },
    "0": () => { if (phases > 1) tile(); },
    "?": () => { at("help").open = !at("help").open; at("help").scrollIntoView({ block: "nearest" }); },
  };
  function turn(step) {
    if (data.frames) go(state.slice + step);
    else if (phases > 1) one(((state.tile ? state.phase : state.phase + step) + phases) % phases);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const slides = event.target instanceof HTMLInputElement && event.target.type === "range";
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (slides && key.length > 1) return; // a slider has its own arrows
    const digit = Number(key);
    if (key >= "1" && key <= "9" && digit <= phases) one(digit - 1);
    else if (keys[key]) keys[key]();
    else return;
    event.preventDefault();
  });

  // wheel
  let rolled = 0;
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) { zoom(Math.exp(-event.deltaY / 300), ...point(event)); return; }
    rolled += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const steps = Math.trunc(rolled);
    if (steps) { rolled -= steps; go(state.slice - clamp(steps, -3, 3) * up); }
  }, { passive: false });

  // where the pointer is: fractions of the picture of the panel below it
  function point(event) {
    const area = stage.getBoundingClientRect(), grid = layout(shownPhases().length), to = place(grid.tile);
    const x = (event.clientX - area.left) % grid.tile[0], y = (event.clientY - area.top) % grid.tile[1];
    return [(x - to.left) / to.sx / data.width, (y - to.top) / to.sy / data.height];
  }

  // drag, swipe, pinch
  const held = new Map();
  let drag = null;
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
    stage.focus({ preventScroll: true });
    const how = event.button === 2 || event.shiftKey ? "window" : event.altKey || event.button === 1 ? "move" : "scroll";
    drag = { how, x: event.clientX, y: event.clientY, slice: state.slice, width: state.width, level: state.level, way: "" };
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    hover(event);
    if (!held.has(event.pointerId) || !drag) return;
    const last = held.get(event.pointerId);
    held.set(event.pointerId, event);
    if (held.size === 2) { pinch(event, last); return; }
    if (drag.how === "pinch") return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (drag.how === "window") {
      const unit = data.unit === "HU" ? 2 : (high - low) / 600;
      state.width = clamp(drag.width + dx * unit, Number(width.min), high - low);
      state.level = clamp(drag.level + dy * unit, low, high);
      state.preset = -1;
      later();
    } else if (drag.how === "move") {
      const to = place(layout(shownPhases().length).tile);
      settle();
      state.x -= (event.clientX - last.clientX) / to.sx / data.width;
      state.y -= (event.clientY - last.clientY) / to.sy / data.height;
      keep();
    } else {
      if (!drag.way && Math.hypot(dx, dy) > 10) drag.way = Math.abs(dx) > 1.5 * Math.abs(dy) ? "across" : "along";
      if (drag.way === "along") go(drag.slice - up * Math.trunc(dy / clamp(0.8 * stage.clientHeight / count, 4, 24)));
    }
  });
  function pinch(event, last) {
    drag.how = "pinch";
    const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
    const distance = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const to = place(layout(shownPhases().length).tile);
    settle();
    state.x -= (event.clientX - last.clientX) / 2 / to.sx / data.width;
    state.y -= (event.clientY - last.clientY) / 2 / to.sy / data.height;
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    zoom(distance(event) / Math.max(distance(last), 1), ...point(middle));
  }
  function release(event) {
    const across = drag && drag.way === "across" ? event.clientX - drag.x : 0;
    held.delete(event.pointerId);
    if (!held.size) drag = null;
    if (Math.abs(across) > 40 && event.type === "pointerup") turn(across < 0 ? 1 : -1);
  }
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("pointerleave", () => { at("cursor").textContent = ""; });

  // the value under the pointer, to the step of the page's 8 bits
  function hover(event) {
    if (event.pointerType === "touch") return;
    const area = stage.getBoundingClientRect(), shown = shownPhases(), grid = layout(shown.length);
    const column = Math.floor((event.clientX - area.left) / grid.tile[0]), row = Math.floor((event.clientY - area.top) / grid.tile[1]);
    const phase = shown[row * grid.columns + column], [x, y] = point(event);
    const entry = phase === undefined ? null : codes(phase, state.slice);
    if (!entry || !entry.pixels || x < 0 || y < 0 || x >= 1 || y >= 1) { at("cursor").textContent = ""; return; }
    const pixel = Math.floor(y * entry.rows) * entry.columns + Math.floor(x * entry.columns);
    const value = Math.round(data.table[entry.pixels[4 * pixel]]);
    at("cursor").textContent = `x ${Math.floor(x * data.width)}, y ${Math.floor(y * data.height)}: about ${value} ${data.unit === "HU" ? "HU" : ""}`;
  }

  // #slice=40&phase=delayed|all&window=bone&score=0.3: how the page opens
  function fromAddress() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const given = (name) => { const value = parseFloat(wanted.get(name)); return Number.isFinite(value) ? value : null; };
    if (given("slice") !== null) {
      const place = data.numbers.findIndex((one) => one >= given("slice"));
      go(place < 0 ? count - 1 : place);
    }
    if (wanted.get("phase") === "all" && phases > 1) tile();
    else if (data.phases.includes(wanted.get("phase"))) one(data.phases.indexOf(wanted.get("phase")));
    const named = data.windows.findIndex((entry) => entry.name === wanted.get("window"));
    if (named >= 0) preset(named);
    if (given("score") !== null) state.score = clamp(given("score"), 0, 1);
    lists();
    later();
  }
  preset(0);
  state.tile = phases > 1 && stage.clientWidth > 900;
  fromAddress();
  window.addEventListener("hashchange", fromAddress);
  new ResizeObserver(() => { marks(); later(); }).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", marks);
})();
