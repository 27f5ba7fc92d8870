// Shows the reason why the form appears again.

const WHY = { 1: "This is not the token of this server.", busy: "Too many wrong tokens: wait a few seconds, then try again." };
const why = WHY[new URLSearchParams(location.search).get("failed")];
if (why) {
  const failed = document.getElementById("failed");
  failed.textContent = why;
  failed.hidden = false;
  document.getElementById("token").setAttribute("aria-invalid", "true");
}
