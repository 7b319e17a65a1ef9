// What every page has at its top: the theme, the end of a session, the key that leads to the field for finding.
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // a browser that keeps nothing follows the system
  }
}

function apply(theme) {
  root.dataset.theme = theme || (dark.matches ? "dark" : "light");
  dispatchEvent(new Event("theme"));
}

apply(stored());
dark.addEventListener("change", () => apply(stored()));
document.getElementById("theme").addEventListener("click", () => {
  const wanted = root.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", wanted);
  } catch {
    // it holds for this page
  }
  apply(wanted);
});

// Where the window has no room for all pages, the one that is shown is not hidden: also when a font or a word beside it comes later.
const shown = document.querySelector(".top nav [aria-current]");
if (shown) {
  const sizes = new ResizeObserver(() => shown.scrollIntoView({ block: "nearest", inline: "nearest" }));
  for (const one of [shown.parentElement, shown]) sizes.observe(one);
}

document.getElementById("sign-out")?.addEventListener("click", async () => {
  await fetch("/session", { method: "DELETE" });
  location.assign("/login");
});

addEventListener("keydown", (event) => {
  const field = document.querySelector("input[type=search]");
  if (event.key === "/" && field && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) {
    event.preventDefault();
    field.focus();
  }
});
