// All usage points with the state of their meters: a list, a map, what is asked and what happens beside it.
import { $, api, attributes, count, el, link, page, path, pill, plural, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { Map2D } from "./map.js";
import { API, CONTROL, control, progress, READ, read, standing, stateOf, STATES, stateWord, what } from "./words.js";
import { eventLine } from "./happened.js";

const AT_ONCE = 1_000;
const MOST = 20_000;
const ASIDE = 30;

async function all() {
  const found = [];
  for (let offset = 0; offset !== null && found.length < MOST; ) {
    const part = await api(`${API}/usage-points?limit=${AT_ONCE}&offset=${offset}`);
    found.push(...part.usage_points);
    offset = part.next;
    if (part.total > MOST && found.length >= MOST) toast(`The first ${count(MOST)} of ${count(part.total)} meters are shown`);
  }
  return found;
}

function aside(title, beside) {
  const list = attributes(el("ol"), { tabindex: 0, "aria-label": title });
  return [list, el("section", "grow", el("div", "bar", el("h2", "", title), el("div", "sp"), beside), list)];
}

function requestLine(request) {
  return attributes(el("li", "rq", pill(standing(request)), link(`/requests/${path(request.message_id)}`, what(request), "strong"), when(request.sent_at), progress(request)), { "data-id": request.message_id });
}

page(async (room) => {
  const who = await me();
  const split = el("div", "split");
  room.append(split);
  const grid = new Grid(split, {
    title: "Usage points",
    key: (one) => one.meter,
    open: (one) => `/usage-points/${path(one.meter)}`,
    search: (one) => `${one.usage_points.join(" ")} ${one.meter} ${one.mrid || ""}`,
    finds: "Find usage point, meter",
    empty: "The configuration names no meter.",
    filters: [{ word: "All" }, ...STATES.map((one) => ({ word: one.word, shape: one.shape, test: (point) => stateOf(point) === one.key }))],
    actions: [
      { word: "Read", act: read, lacks: who.lacks(READ) },
      { word: "Connect", act: (points, pressed) => control("connect", points, pressed), lacks: who.lacks(CONTROL) },
      { word: "Disconnect", act: (points, pressed) => control("disconnect", points, pressed), danger: true, lacks: who.lacks(CONTROL) },
    ],
    columns: [
      { head: "Usage point", width: "minmax(110px,.8fr)", put: (one) => link(`/usage-points/${path(one.meter)}`, one.usage_points.join(", ") || "–", "mono"), sort: (one) => one.usage_points.join() },
      { head: "Switch", width: "150px", put: stateWord, sort: stateOf },
      { head: "Meter", width: "minmax(90px,.6fr)", mono: true, put: (one) => one.meter, sort: (one) => one.meter },
      { head: "Asked, UTC", width: "142px", put: (one) => when(one.asked_at), sort: (one) => one.asked_at || "", down: true },
      { head: "Requests", width: "70px", num: true, put: (one) => count(one.requests), sort: (one) => one.requests, down: true },
      { head: "Failed", width: "60px", num: true, put: (one) => el("span", one.failures ? "bad" : "", count(one.failures)), sort: (one) => one.failures, down: true },
      { head: "Why", width: "minmax(150px,1.6fr)", put: (one) => (one.code ? `${one.code} ${(one.reason || "").replace(`${one.meter}: `, "")}` : "") },
    ],
  });

  const map = new Map2D({ colour: stateOf, order: ["connected", "unknown", "disconnected", "ready", "silent"] });
  const total = el("span", "muted");
  const [requests, asked] = aside("Requests", link("/requests", "All", "muted"));
  const [events, happened] = aside("Events", link("/events", "All", "muted"));
  requests.className = "rqs";
  events.className = "ev";
  const network = el("section", "", el("div", "bar", el("h2", "", "Network"), el("div", "sp"), total), map.canvas, el("p", "legend faint", "In the order of the configuration, not by place."));
  split.append(el("aside", "side fixed", network, asked, happened));

  function request(one) {
    const known = $(`[data-id="${CSS.escape(one.message_id)}"]`, requests);
    if (known) known.replaceWith(requestLine(one));
    else requests.prepend(requestLine(one));
    while (requests.children.length > ASIDE) requests.lastChild.remove();
  }

  async function load() {
    const [points, sent, told] = await Promise.all([all(), api(`${API}/requests?limit=${ASIDE}`), api(`${API}/device-events`)]);
    grid.replace(points);
    map.show(grid.rows);
    total.textContent = plural(points.length, "meter");
    requests.replaceChildren(...sent.requests.map(requestLine));
    const lines = told.events.slice(0, ASIDE).map(eventLine);
    events.replaceChildren(...(lines.length ? lines : [el("li", "note", "The head-end has told of nothing yet.")]));
  }

  await load();
  live((frame) => {
    if (frame.usage_points.length) {
      grid.merge(frame.usage_points);
      map.later();
    }
    frame.requests.forEach(request);
    if (frame.events.length) $(".note", events)?.remove();
    for (const one of frame.events) events.prepend(eventLine(one));
    while (events.children.length > ASIDE) events.lastChild.remove();
  }, load);
});
