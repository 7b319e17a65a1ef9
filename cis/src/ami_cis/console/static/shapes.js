// The shapes of states as small pictures, made once for a theme, a size and a screen, so that ten thousand of them are drawn in one go.
const COLOURS = { connected: "--s1", disconnected: "--s0", ready: "--s2", silent: "--s3", unknown: "--idle", unshown: "--faint" };
const CHOSEN = "--acc";
let made = { key: "", sprites: {} };

export function shapes(style, size, fine) {
  const colours = Object.entries(COLOURS).map(([state, name]) => [state, style.getPropertyValue(name).trim()]);
  const ring = style.getPropertyValue(CHOSEN).trim();
  const key = `${size} ${fine} ${ring} ${colours.join(" ")}`;
  if (made.key === key) return made.sprites;
  const sprites = { plain: {}, chosen: {} };
  for (const [state, colour] of colours) {
    sprites.plain[state] = sprite(state, colour, null, size, fine);
    sprites.chosen[state] = sprite(state, colour, ring, size, fine);
  }
  made = { key, sprites };
  return sprites;
}

// In pixels of the screen, with its middle in the middle; one that is selected has a ring around it.
function sprite(state, colour, ring, size, fine) {
  const image = document.createElement("canvas");
  const half = Math.ceil((size / 2 + (ring ? 6 : 4)) * fine);
  image.width = image.height = 2 * half;
  const context = image.getContext("2d");
  context.setTransform(fine, 0, 0, fine, half, half);
  if (ring) encircle(context, ring, size / 2 + 3.5);
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth = Math.max(1.3, size / 6);
  DRAWN[state](context, size / 2);
  return { image, half };
}

function encircle(context, colour, radius) {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  disc(context, radius);
  context.stroke();
}

const disc = (context, radius, to = 2 * Math.PI) => {
  context.beginPath();
  context.arc(0, 0, radius, 0, to);
};

// What is not as usual is large enough for its shape to be seen, however small all others are.
const odd = (radius) => Math.max(radius + 0.5, 3);

// Filled, hollow, half, a triangle, a dash: as in the list.
const DRAWN = {
  connected: (context, radius) => (disc(context, radius * 0.9), context.fill()),
  disconnected: (context, radius) => (disc(context, odd(radius)), context.stroke()),
  ready(context, radius) {
    disc(context, odd(radius));
    context.stroke();
    context.beginPath();
    context.arc(0, 0, odd(radius), Math.PI / 2, 1.5 * Math.PI);
    context.fill();
  },
  silent(context, radius) {
    const reach = odd(radius) + 1;
    context.beginPath();
    context.moveTo(0, -reach);
    context.lineTo(reach, reach * 0.8);
    context.lineTo(-reach, reach * 0.8);
    context.fill();
  },
  unknown: (context, radius) => context.fillRect(-radius, -Math.max(1, radius * 0.3), 2 * radius, 2 * Math.max(1, radius * 0.3)),
  unshown: (context) => (disc(context, 1.2), context.fill()),
};
