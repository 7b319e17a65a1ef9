// All usage points with the state of their meters: a list and a map of the same, what is asked and what happens beside it.
import { $, api, attributes, button, count, el, link, page, path, pill, plural, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { PointMap } from "./map.js";
import { API, CONTROL, control, progress, READ, read, standing, stateOf, STATES, stateWord, what, where } from "./words.js";
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

// The map beside the list, small, or large at the address #map; what is found, filtered and selected in the one is so in the other.
function network(split, map) {
  const large = attributes(button("Larger map", () => enlarge(!split.classList.contains("mapped")), "btn sm"), { "aria-pressed": "false" });
  const tool = (word, says, act) => attributes(button(word, act, "btn sm tool"), { "aria-label": says, title: says });
  const tools = [tool("+", "Zoom in", () => map.zoom(0.7)), tool("−", "Zoom out", () => map.zoom(1 / 0.7)), tool("Show all", "Show all usage points on the map", () => map.all()), tool("Select these", "Select what the map shows", () => map.chooseView())];
  const total = el("span", "muted");
  const legend = el("p", "legend faint");
  const section = el("section", "network", el("div", "bar", el("h2", "", "Map"), total, el("div", "sp"), ...tools, large), map.element, legend);
  function enlarge(wanted) {
    split.classList.toggle("mapped", wanted);
    attributes(large, { "aria-pressed": String(wanted) });
    history.replaceState(null, "", wanted ? "#map" : location.pathname + location.search);
    map.all();
  }
  if (location.hash === "#map") enlarge(true);
  return {
    section,
    tell(rows) {
      const nowhere = rows.length - map.placed.length;
      total.textContent = plural(rows.length, "meter");
      if (!map.placed.length) legend.textContent = "In the order of the configuration: no usage point has a place.";
      else legend.textContent = nowhere ? `${count(nowhere)} without a place ${nowhere === 1 ? "is" : "are"} in the list alone.` : "Drag to move, wheel or + − to zoom, Shift and drag to select.";
    },
  };
}

page(async (room) => {
  const who = await me();
  const split = el("div", "split");
  room.append(split);
  let map = null;
  const grid = new Grid(split, {
    title: "Usage points",
    key: (one) => one.meter,
    open: (one) => `/usage-points/${path(one.meter)}`,
    search: (one) => `${one.usage_points.join(" ")} ${one.meter} ${one.mrid || ""} ${one.place?.main_address || ""}`,
    finds: "Find usage point, meter, street",
    changed: () => map?.later(),
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
      { head: "Address", width: "minmax(150px,1.2fr)", put: (one) => where(one.place), sort: (one) => one.place?.main_address || "" },
      { head: "Asked, UTC", width: "142px", put: (one) => when(one.asked_at), sort: (one) => one.asked_at || "", down: true },
      { head: "Requests", width: "70px", num: true, put: (one) => count(one.requests), sort: (one) => one.requests, down: true },
      { head: "Failed", width: "60px", num: true, put: (one) => el("span", one.failures ? "bad" : "", count(one.failures)), sort: (one) => one.failures, down: true },
      { head: "Why", width: "minmax(150px,1.6fr)", put: (one) => (one.code ? `${one.code} ${(one.reason || "").replace(`${one.meter}: `, "")}` : "") },
    ],
  });

  map = new PointMap({ grid, state: stateOf, label: (one) => [el("b", "", one.usage_points.join(", ") || one.meter), stateWord(one), el("span", "muted", one.place?.main_address || "")] });
  const beside = network(split, map);
  const [requests, asked] = aside("Requests", link("/requests", "All", "muted"));
  const [events, happened] = aside("Events", link("/events", "All", "muted"));
  requests.className = "rqs";
  events.className = "ev";
  split.append(el("aside", "side fixed", beside.section, asked, happened));

  function request(one) {
    const known = $(`[data-id="${CSS.escape(one.message_id)}"]`, requests);
    if (known) known.replaceWith(requestLine(one));
    else requests.prepend(requestLine(one));
    while (requests.children.length > ASIDE) requests.lastChild.remove();
  }

  async function load() {
    const [points, sent, told] = await Promise.all([all(), api(`${API}/requests?limit=${ASIDE}`), api(`${API}/device-events`)]);
    grid.replace(points);
    beside.tell(grid.rows);
    requests.replaceChildren(...sent.requests.map(requestLine));
    const lines = told.events.slice(0, ASIDE).map(eventLine);
    events.replaceChildren(...(lines.length ? lines : [el("li", "note", "The head-end has told of nothing yet.")]));
  }

  await load();
  live((frame) => {
    if (frame.usage_points.length) {
      grid.merge(frame.usage_points);
      beside.tell(grid.rows);
    }
    frame.requests.forEach(request);
    if (frame.events.length) $(".note", events)?.remove();
    for (const one of frame.events) events.prepend(eventLine(one));
    while (events.children.length > ASIDE) events.lastChild.remove();
  }, load);
});
