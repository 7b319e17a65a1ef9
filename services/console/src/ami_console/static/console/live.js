// One stream for all tabs of a browser: HTTP/1.1 allows six connections to a host, and each stream holds one.
// The tab that holds the lock reads the stream and passes it on; when it closes, the next one takes over. Without a secure context there
// are no locks, and each tab reads for itself. All who listen on a page share what it reads.
const NAME = `ami-live ${document.body.dataset.live}`;
const listeners = [];

export function live(onFrame, onResync) {
  listeners.push({ onFrame, onResync });
  if (listeners.length === 1) begin();
}

const everybody = (call) => listeners.forEach(call);

function begin() {
  const lamp = document.getElementById("live");
  const word = lamp.querySelector("span");
  lamp.hidden = false;
  let missed = false;

  function say(name, text) {
    lamp.className = `live ${name}`;
    if (word.textContent !== text) word.textContent = text;
  }

  function take(message) {
    if (message.kind === "state") say(message.name, message.text);
    else if (document.hidden) missed = true;
    else if (message.kind === "resync") everybody((one) => one.onResync());
    else {
      say("on", "live");
      const frame = JSON.parse(message.data);
      everybody((one) => one.onFrame(frame));
    }
  }

  const channel = new BroadcastChannel(NAME);
  channel.onmessage = (event) => (event.data === "who" ? answer() : take(event.data));
  let current = null;
  const answer = () => current && channel.postMessage(current);
  const both = (message) => {
    if (message.kind === "state") current = message;
    take(message);
    channel.postMessage(message);
  };

  function read() {
    const source = new EventSource(document.body.dataset.live);
    source.addEventListener("open", () => both({ kind: "state", name: "on", text: "live" }));
    source.addEventListener("error", () => both({ kind: "state", name: "off", text: "reconnecting" }));
    source.addEventListener("resync", () => both({ kind: "resync" }));
    source.addEventListener("frame", (event) => both({ kind: "frame", data: event.data }));
    addEventListener("pagehide", () => source.close());
    return new Promise(() => {});
  }

  if (navigator.locks) navigator.locks.request(NAME, read);
  else read();
  channel.postMessage("who");
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !missed) return;
    missed = false;
    everybody((one) => one.onResync());
  });
}
