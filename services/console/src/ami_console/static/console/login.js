// A token is shown once; the session that it begins is a cookie that no script sees.
const asked = new URLSearchParams(location.search).get("next") || "/";
// where it leads is asked of the browser, which drops tabs and turns backslashes round
const leads = URL.canParse(asked, location.href) ? new URL(asked, location.href) : location;
const next = leads !== location && leads.origin === location.origin ? leads.href : "/";
const form = document.getElementById("login");
const problem = document.getElementById("problem");

// What went wrong at the issuer comes back as a word of this list, and never as a text.
const refused = {
  again: "That sign-in was not begun in this browser, or took too long. Try it again.",
  issuer: "The issuer did not let you in, or can't be asked now. The log of the process says why.",
  roles: "The issuer knows you, and you have no role here.",
};
problem.textContent = refused[new URLSearchParams(location.search).get("refused")] ?? "";
const byIssuer = document.getElementById("by-issuer");
if (byIssuer) byIssuer.search = new URLSearchParams({ next }).toString();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  const token = document.getElementById("token").value.trim();
  const answer = await fetch("/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (answer.ok) location.replace(next);
  else problem.textContent = (await answer.json()).error;
});

// Who came over a link of another site has its session, but its browser did not send the cookie along.
if ((await (await fetch("/session")).json()).signed_in) location.replace(next);
document.documentElement.dataset.ready = "1";
