// A token is shown once; the session that it begins is a cookie that no script sees.
const asked = new URLSearchParams(location.search).get("next") || "/";
// where it leads is asked of the browser, which drops tabs and turns backslashes round
const leads = URL.canParse(asked, location.href) ? new URL(asked, location.href) : location;
const next = leads !== location && leads.origin === location.origin ? leads.href : "/";
const form = document.getElementById("login");
const problem = document.getElementById("problem");

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
