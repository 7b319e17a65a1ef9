// A trace: the waterfall above; bytes, decoded tree and XML below, linked in every direction. The console fetches what it shows, and
// the file that is attached to a ticket holds it; both run this script. Nothing is written as HTML: all of it is text.
const $ = (id) => document.getElementById(id);
// as in dom.js, which a file has not
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const legible = (text) => String(text).replace(UNSEEN, "\ufffd");
function el(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.filter((one) => one !== null && one !== undefined).map((one) => (one instanceof Node ? one : legible(one))));
  return made;
}
const ROW = 24;
const BEYOND = 12; // rows that are made above and below what is seen
const SLOW_MS = 600;
const UNFOLDED = 6; // meters that are shown with their sessions from the beginning
const MARKS = { request: "✉", "cim-request": "✉", "cim-reply": "✉", delivery: "✉", validation: "✓", plan: "≡", command: "▣", attempt: "#", connection: "⇄", association: "◇", exchange: "⇅", step: "·", verdict: "=" };
const WORDS = { request: "request", "cim-request": "CIM message", "cim-reply": "CIM message", delivery: "delivery of the reply", validation: "validation", plan: "plan", command: "command at a meter", attempt: "attempt", connection: "connection", association: "association", exchange: "exchange", step: "step", apdu: "APDU", frame: "frame of HDLC", verdict: "verdict" };
const PILLS = { ok: "OK", partial: "PARTIAL", failed: "FAILED", refused: "REFUSED", running: "RUNNING" };
const SHAPES = { failed: "▲", refused: "◐", partial: "◐", running: "◌" };
const number = new Intl.NumberFormat("en");

function millis(ms) {
  if (ms === null) return "";
  if (ms < 10) return ms.toFixed(1);
  return number.format(Math.round(ms));
}

function start(view) {
  const spans = view.spans;
  const by = new Map(spans.map((span) => [span.id, span]));
  const folded = new Set();
  prepare(spans, by, folded);
  let seen = [];
  let current = null;
  let from = 0;
  let to = Math.max(view.ms, 1);

  // -- which rows there are
  const isFolded = (span) => {
    for (let above = by.get(span.parent); above; above = by.get(above.parent)) if (folded.has(above.id)) return true;
    return false;
  };
  function refold() {
    seen = spans.filter((span) => !isFolded(span));
    $("t-body").style.setProperty("height", `${seen.length * ROW}px`);
    $("t-wf").setAttribute("aria-rowcount", String(seen.length + 1));
    draw();
  }
  function fold(span) {
    if (!span.kids) return;
    if (!folded.delete(span.id)) folded.add(span.id);
    refold();
  }
  function reveal(span) {
    for (let above = by.get(span.parent); above; above = by.get(above.parent)) folded.delete(above.id);
    refold();
  }

  // -- the rows that are seen
  function draw() {
    const window_ = $("t-wf");
    const first = Math.max(0, Math.floor(window_.scrollTop / ROW) - BEYOND);
    const last = Math.min(seen.length, Math.ceil((window_.scrollTop + window_.clientHeight) / ROW) + BEYOND);
    $("t-body").replaceChildren(...seen.slice(first, last).map((span, place) => row(span, first + place)));
  }
  function row(span, place) {
    const made = el("div", `wrow${span === current ? " cur" : ""}`);
    made.id = `span-${span.id}`;
    made.style.setProperty("top", `${place * ROW}px`);
    for (const [name, value] of [["role", "row"], ["aria-rowindex", place + 2], ["aria-level", span.depth + 1], ["aria-selected", span === current]]) made.setAttribute(name, value);
    if (span.kids) made.setAttribute("aria-expanded", String(!folded.has(span.id)));
    const took = el("span", "num", span.apdu && span.way === "request" ? "" : millis(span.t1 === null ? null : span.t1 - span.t0));
    took.setAttribute("role", "gridcell");
    made.append(named(span), took, track(span));
    made.addEventListener("click", () => pick(span));
    return made;
  }
  function named(span) {
    const cell = el("div", "nm");
    cell.setAttribute("role", "gridcell");
    cell.style.setProperty("--d", span.depth);
    const twist = el("span", "tw", span.kids ? (folded.has(span.id) ? "▸" : "▾") : "");
    twist.addEventListener("click", (event) => { event.stopPropagation(); fold(span); });
    const mark = el("span", `k k-${span.paint}`, span.apdu ? (span.way === "request" ? "→" : "←") : MARKS[span.kind]);
    mark.title = WORDS[span.kind];
    const name = el("b", span.outcome === "failed" ? "fail" : span.slow ? "slow" : "", (SHAPES[span.outcome] ? `${SHAPES[span.outcome]} ` : "") + span.name);
    name.title = legible(span.name);
    cell.append(twist, mark, name);
    if (span.apdu) cell.append(el("span", "faint", `${span.size} B${span.apdu.clear ? ", deciphered" : ""}`));
    else if (span.text) cell.append(el("span", "faint", span.text));
    return cell;
  }
  function track(span) {
    const made = el("div", "track");
    made.setAttribute("role", "gridcell");
    const end = span.t1 === null ? view.ms : span.t1;
    made.setAttribute("aria-label", `from ${span.t0} to ${span.t1 === null ? "now" : span.t1} ms`);
    const left = Math.max(0, span.t0 - from) / (to - from);
    const right = Math.min(1, (end - from) / (to - from));
    if (right < 0 || left > 1) return made;
    const bar = el("i", `b-${span.paint}${span.outcome === "failed" ? " b-fail" : ""}${span.slow ? " b-slow" : ""}`);
    bar.style.setProperty("--l", `${100 * left}%`);
    bar.style.setProperty("--w", `${100 * Math.max(0, right - left)}%`);
    made.append(bar);
    return made;
  }

  // -- the axis
  function grid() {
    const raw = (to - from) / 6;
    const power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
  }
  function drawAxis() {
    const each = grid();
    const marks = [];
    for (let at = Math.ceil(from / each) * each; at < to; at += each) {
      const mark = el("span", "", to - from >= 1000 ? `${(at / 1000).toFixed(each < 100 ? 2 : 1)} s` : `${at.toFixed(each < 1 ? 1 : 0)} ms`);
      mark.style.setProperty("--l", `${(100 * (at - from)) / (to - from)}%`);
      marks.push(mark);
    }
    $("t-axis").replaceChildren(...marks);
    $("t-wf").style.setProperty("--g", `${(100 * each) / (to - from)}%`);
  }
  function zoom(first, last) {
    from = Math.max(0, first);
    to = Math.min(Math.max(view.ms, 1), last);
    if (to - from < 0.5) to = from + 0.5;
    drawAxis();
    draw();
  }
  dragged($("t-axis"), () => [from, to], zoom);

  // -- what is chosen
  function pick(span) {
    current = span;
    const place = seen.indexOf(span);
    const window_ = $("t-wf");
    const head = 28;
    if (place * ROW < window_.scrollTop) window_.scrollTop = place * ROW;
    if ((place + 1) * ROW + head > window_.scrollTop + window_.clientHeight) window_.scrollTop = (place + 1) * ROW + head - window_.clientHeight;
    window_.setAttribute("aria-activedescendant", `span-${span.id}`);
    draw();
    detail(span, by, view);
  }
  $("t-wf").addEventListener("scroll", draw);
  addEventListener("resize", draw);
  addEventListener("keydown", (event) => {
    if (/INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = seen.indexOf(current);
    const act = {
      j: () => place < seen.length - 1 && pick(seen[place + 1]),
      k: () => place > 0 && pick(seen[place - 1]),
      ArrowLeft: () => (current.kids && !folded.has(current.id) ? fold(current) : by.get(current.parent) && pick(by.get(current.parent))),
      ArrowRight: () => (current.kids && folded.has(current.id) ? fold(current) : place < seen.length - 1 && pick(seen[place + 1])),
      f: () => nextFailed(),
      0: () => zoom(0, view.ms),
    };
    act.ArrowDown = act.j;
    act.ArrowUp = act.k;
    if (!act[event.key]) return;
    event.preventDefault();
    act[event.key]();
  });
  const failed = spans.filter((span) => span.outcome === "failed" && !spans.some((one) => one.parent === span.id && one.outcome === "failed" && one.kind !== "verdict"));
  function nextFailed() {
    if (!failed.length) return;
    const next = failed.find((span) => spans.indexOf(span) > spans.indexOf(current)) || failed[0];
    reveal(next);
    pick(next);
  }

  heading(view, spans, (span) => { reveal(span); pick(span); });
  drawAxis();
  refold();
  const wanted = by.get(Number(location.hash.slice(1)));
  const chosen = wanted || failed.find((span) => span.kind !== "verdict") || spans.find((span) => span.apdu && span.apdu.clear && by.get(span.parent).kind === "exchange") || spans[0];
  reveal(chosen);
  pick(chosen);
  document.documentElement.dataset.ready = "1";
}

// Depth, kind of colour and what is folded from the beginning: meters that ended well, where there are many.
function prepare(spans, by, folded) {
  const parents = new Set(spans.map((span) => span.parent));
  const meters = spans.filter((span) => span.kind === "command");
  for (const span of spans) {
    const above = by.get(span.parent);
    span.depth = above ? above.depth + 1 : 0;
    span.kids = parents.has(span.id);
    span.way = span.apdu ? span.apdu.direction : null;
    span.size = span.apdu ? span.apdu.frame.length / 2 || span.apdu.left_out : 0;
    span.slow = span.way === "response" && span.t1 - span.t0 > SLOW_MS;
    span.paint = paint(span);
    if (span.kind === "command" && span.outcome === "ok" && meters.length > UNFOLDED) folded.add(span.id);
  }
}
function paint(span) {
  if (span.way) return span.way === "request" ? "req" : "resp";
  if (["request", "cim-request", "cim-reply", "delivery", "validation"].includes(span.kind)) return "cim";
  if (["command", "attempt"].includes(span.kind)) return "meter";
  return span.kind === "connection" ? "tcp" : "job";
}

function heading(view, spans, go) {
  const fact = (word, value, className = "") => el("div", "", el("dt", "", word), el("dd", className, value));
  const what = PILLS[view.outcome];
  $("t-title").replaceChildren(el("span", `pill ${what}`, what), `${view.verb} ${view.noun}`, el("span", "faint", view.source ? `from ${view.source}` : ""));
  $("t-facts").replaceChildren(
    fact("MessageID", view.message_id, "mono"),
    fact("Began", view.began_at.replace("T", " ").replace("+00:00", " UTC"), "mono"),
    fact("Took", view.ms >= 1000 ? `${(view.ms / 1000).toFixed(2)} s` : `${millis(view.ms)} ms`, "mono"),
    fact("Meters", `${number.format(view.meters.ok)} of ${number.format(view.meters.asked)} OK`),
    fact("APDUs", `${number.format(view.apdus)} (${number.format(view.octets)} octets)`),
  );
  const bad = spans.filter((span) => span.kind === "command" && span.outcome === "failed");
  if (bad.length) $("t-fails").append(`${number.format(bad.length)} failed`);
  for (const span of bad.slice(0, 6)) {
    const made = el("button", "", `${span.meter || span.name}`);
    made.type = "button";
    made.title = legible(span.text || "");
    made.addEventListener("click", () => go(span));
    $("t-fails").append(made);
  }
  const notes = [...(view.clear_text && !view.redacted ? ["Clear text: values that were ciphered on the wire are in it."] : []), ...view.notes];
  $("t-notes").hidden = !notes.length;
  $("t-notes").replaceChildren(...notes.map((note) => el("li", "", note)));
}

function dragged(axis, range, zoom) {
  let began = null;
  let box = null;
  const at = (event) => {
    const place = axis.getBoundingClientRect();
    const [from, to] = range();
    return from + ((event.clientX - place.left) / place.width) * (to - from);
  };
  axis.addEventListener("pointerdown", (event) => {
    began = at(event);
    box = el("em");
    axis.append(box);
    axis.setPointerCapture(event.pointerId);
  });
  axis.addEventListener("pointermove", (event) => {
    if (began === null) return;
    const [from, to] = range();
    const now = at(event);
    box.style.setProperty("--l", `${(100 * (Math.min(began, now) - from)) / (to - from)}%`);
    box.style.setProperty("--w", `${(100 * Math.abs(now - began)) / (to - from)}%`);
  });
  axis.addEventListener("pointerup", (event) => {
    const now = at(event);
    const first = began;
    const [from, to] = range();
    began = null;
    box.remove();
    if (Math.abs(now - first) > (to - from) / 100) zoom(Math.min(first, now), Math.max(first, now));
  });
  axis.addEventListener("dblclick", () => zoom(0, Infinity));
}

// -- bytes, tree and XML of what is chosen. A part is named by the section that it is in (w: on the wire, c: deciphered) and its octets.
function detail(span, by, view) {
  const above = by.get(span.parent);
  $("t-of").textContent = span.apdu ? legible([span.meter, above ? above.name : ""].filter(Boolean).join(", ")) : WORDS[span.kind];
  if (span.apdu) apduDetail(span);
  else otherDetail(span, view);
}
function sections(apdu) {
  const found = [];
  if (apdu.frame) found.push({ key: "w", word: "On the wire", hex: apdu.frame, tree: apdu.tree, hidden: apdu.hidden });
  if (apdu.clear) found.push({ key: "c", word: "Deciphered", hex: apdu.clear, tree: apdu.clear_tree, hidden: apdu.clear_hidden });
  return found;
}
function apduDetail(span) {
  const apdu = span.apdu;
  const shown = sections(apdu);
  $("t-size").textContent = `${span.size} octets, ${apdu.direction === "request" ? "head-end to meter" : "meter to head-end"}`;
  const left = apdu.left_out ? [el("p", "empty", `${apdu.left_out} octets on the wire were left out.`)] : [];
  $("t-hex").replaceChildren(...left, ...shown.flatMap((one) => [el("h3", "", one.word), hexOf(one)]));
  $("t-tree").replaceChildren(...shown.flatMap((one) => [el("h3", "", one.word), treeOf(one)]));
  $("t-xml").replaceChildren(...shown.flatMap((one) => xmlOf(one.tree, one, 0)));
}
function otherDetail(span, view) {
  $("t-size").textContent = "";
  $("t-hex").replaceChildren(el("p", "empty", "Choose a request → or a response ← to see its bytes."));
  const facts = [["Kind", WORDS[span.kind]], ["Meter", span.meter], ["Peer", span.peer], ["Transport", span.transport], ["Began", `${span.t0.toFixed(2)} ms`], ["Ended", span.t1 === null ? "not yet" : `${span.t1.toFixed(2)} ms`], ["Took", span.t1 === null ? null : `${(span.t1 - span.t0).toFixed(2)} ms`], ["Outcome", PILLS[span.outcome]], ["Said", span.text]];
  const list = el("ul", "");
  for (const [word, value] of facts) if (value) list.append(el("li", "", el("div", "tn", el("b", "", word), el("span", "", value))));
  $("t-tree").replaceChildren(list);
  if (span.xml) $("t-xml").replaceChildren(...indented(span.xml));
  else $("t-xml").replaceChildren(el("p", "empty", view.redacted && span.kind === "cim-reply" ? "The reply was left out." : "No XML on this span."));
}
const isHidden = (section, place) => section.hidden.some(([first, end]) => place >= first && place < end);
function hexOf(section) {
  const out = el("div", "");
  const size = section.hex.length / 2;
  for (let line = 0; line < size; line += 16) {
    const made = el("div", "", el("span", "o", `${line.toString(16).padStart(4, "0").toUpperCase()}  `));
    const letters = [];
    for (let place = line; place < line + 16; place += 1) {
      const gap = place % 8 === 7 ? "  " : " ";
      if (place >= size) { made.append(el("span", "pad", `  ${gap}`)); continue; }
      const digits = section.hex.substr(2 * place, 2);
      const value = parseInt(digits, 16);
      const hidden = isHidden(section, place);
      const octet = el("span", hidden ? "hid" : "", hidden ? "**" : digits.toUpperCase());
      const letter = el("span", "", hidden ? "*" : value > 31 && value < 127 ? String.fromCharCode(value) : "·");
      octet.dataset.o = letter.dataset.o = String(place);
      octet.dataset.k = letter.dataset.k = section.key;
      made.append(octet, gap);
      letters.push(letter);
    }
    made.append(" ", ...letters);
    out.append(made);
  }
  return out;
}
function linked(made, part, section) {
  made.dataset.k = section.key;
  made.dataset.s = String(part.offset);
  made.dataset.e = String(part.offset + part.octets);
  return made;
}
function treeOf(section) {
  const list = el("ul", "");
  if (section.tree) list.append(item(section.tree, section));
  return list;
}
function item(part, section) {
  const line = linked(el("div", `tn${part.trouble ? " bad" : ""}`, el("b", "", part.name), el("span", "", [part.text, part.trouble].filter(Boolean).join(" ▲ "))), part, section);
  const made = el("li", "", line);
  const within = el("ul", "");
  for (const one of part.parts || []) within.append(item(one, section));
  for (const one of part.derived || []) within.append(el("li", "", el("div", "tn", el("b", "", "derived"), el("span", "", one.how))));
  if (within.childNodes.length) made.append(within);
  return made;
}
// The same document as `ami decode --format xml` writes.
function xmlOf(part, section, depth) {
  if (!part) return [];
  const pad = "  ".repeat(depth);
  const said = part.parts ? [] : [["hex", section.hex.substr(2 * part.offset, 2 * part.octets).toUpperCase()]];
  for (const name of ["value", "text", "trouble", "type", "offset", "octets"]) if (part[name] !== undefined) said.push([name, part[name]]);
  const open = linked(el("div", "", pad, el("span", "t", `<${part.name}`)), part, section);
  for (const [name, value] of said) open.append(" ", el("span", "a", `${name}=`), el("span", "v", `"${String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")}"`));
  if (!part.parts) { open.append(el("span", "t", "/>")); return [open]; }
  open.append(el("span", "t", ">"));
  return [open, ...part.parts.flatMap((one) => xmlOf(one, section, depth + 1)), el("div", "", pad, el("span", "t", `</${part.name}>`))];
}
// A message as text, an element a line; what is in it is shown and never run.
function indented(xml) {
  const lines = [];
  let depth = 0;
  for (const piece of xml.split(/(<[^>]+>)/)) {
    const text = piece.trim();
    if (!text) continue;
    const closes = text.startsWith("</");
    const opens = text.startsWith("<") && !closes && !text.endsWith("/>") && !text.startsWith("<?") && !text.startsWith("<!");
    const last = lines.at(-1);
    if (closes) depth -= 1;
    if (last && last.alone && (closes || !text.startsWith("<"))) {
      last.made.append(el("span", text.startsWith("<") ? "t" : "v", text));
      last.alone = !closes;
    } else {
      const made = el("div", "", "  ".repeat(Math.max(depth, 0)), el("span", text.startsWith("<") ? "t" : "v", text));
      lines.push({ made, alone: opens });
    }
    if (opens) depth += 1;
  }
  return lines.map((line) => line.made);
}

// -- the links
function linkParts() {
  let pinned = false;
  const light = (found) => {
    for (const one of document.querySelectorAll("#t-detail .lit")) one.classList.remove("lit");
    if (!found) return;
    for (const one of document.querySelectorAll(`#t-detail [data-k="${found.k}"]`)) {
      const { o, s, e } = one.dataset;
      const hit = o === undefined ? s === found.s && e === found.e : Number(o) >= Number(found.s) && Number(o) < Number(found.e);
      if (hit) one.classList.add("lit");
    }
  };
  // The smallest part that has this octet.
  const deepest = (k, octet) => {
    let best = null;
    for (const one of document.querySelectorAll(`#t-tree [data-k="${k}"][data-s]`)) {
      const { s, e } = one.dataset;
      if (octet >= Number(s) && octet < Number(e) && (!best || Number(e) - Number(s) <= Number(best.e) - Number(best.s))) best = { k, s, e };
    }
    return best;
  };
  const under = (event) => {
    const one = event.target.closest("[data-k]");
    if (!one) return null;
    const { k, o, s, e } = one.dataset;
    return o === undefined ? { k, s, e } : deepest(k, Number(o));
  };
  $("t-detail").addEventListener("pointerover", (event) => { if (!pinned) light(under(event)); });
  $("t-detail").addEventListener("click", (event) => {
    const found = under(event);
    pinned = Boolean(found);
    light(found);
    if (!found) return;
    for (const pane of ["t-hex", "t-tree", "t-xml"]) if (!$(pane).contains(event.target)) $(pane).querySelector(".lit")?.scrollIntoView({ block: "nearest" });
  });
  $("t-copy").addEventListener("click", () => navigator.clipboard?.writeText([...$("t-xml").children].map((line) => line.textContent).join("\n")));
}

function themes() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const made = el("button", "btn", "Light / dark");
  made.type = "button";
  made.id = "theme";
  made.addEventListener("click", () => { document.documentElement.dataset.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark"; });
  $("t-acts").append(made);
}

async function begin() {
  linkParts();
  const held = $("trace-view");
  if (held) {
    themes();
    start(JSON.parse(held.textContent));
    return;
  }
  const source = `/api/v1${location.pathname}`;
  const answer = await fetch(`${source}?as=view`, { headers: { Accept: "application/json" } });
  const found = await answer.json();
  if (!answer.ok) {
    $("t-title").textContent = legible(found.error || "") || `${answer.status}`;
    document.documentElement.dataset.ready = "1";
    return;
  }
  for (const [word, form] of [["HTML", "html"], ["Wireshark", "pcapng"], ["JSON", "trace"]]) {
    const made = el("a", "btn", word);
    made.href = `${source}?as=${form}`;
    $("t-acts").append(made);
  }
  if (found.outcome === "running") document.documentElement.dataset.running = "1";
  start(found);
}

begin();
