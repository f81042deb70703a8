// Sends a selection of dead letters again: counts first, then sends what was counted. Shown only
// where this page may: `dead-letters/again` says so. Uses what page.js defines.
"use strict";

const AGAIN = "dead-letters/again";
const CHOSEN = "chosen";
const chosen = new Set(); // positions of rows of the table that are ticked
let counted = null; // the selection that "Send" sends

async function askMayAgain() {
  const answer = await fetch(AGAIN);
  if (!answer.ok) return; // there is no dead-letter topic to take from
  const { allowed } = await answer.json();
  $("again").hidden = allowed !== "yes";
  $("again-not").hidden = allowed === "yes";
  if (allowed === "off") write($("again-not"), "To send some again from here, set admin.token.");
  if (allowed === "token") {
    const link = make("a", "give the token");
    link.href = "login.html";
    $("again-not").replaceChildren("To send some again from here, ", link, ".");
  }
  mayAgain = allowed === "yes";
  $("letters").replaceChildren(); // with another column
  if (last) showLetters(last.recent);
}

// Called by page.js with each status: the codes that there are, and the ticks that are left.
function showAgain(recent) {
  const positions = new Set(recent.dead_letters.map((one) => one.position));
  for (const position of chosen) if (!positions.has(position)) chosen.delete(position);
  const select = $("again-which");
  const before = select.value || CHOSEN;
  const codes = [...new Set(recent.dead_letter_codes.map((one) => one.code))].sort();
  const options = [
    [CHOSEN, `the ${chosen.size} ticked above`],
    ...codes.map((code) => [code, `all with ${code}`]),
  ];
  options.forEach(([value, text], at) => {
    const option = select.options[at] || select.appendChild(make("option"));
    if (option.value !== value) option.value = value;
    write(option, text);
  });
  while (select.options.length > options.length) select.lastChild.remove();
  select.value = before;
  $("again-since").disabled = before === CHOSEN;
}

function tick(position) {
  const box = make("input");
  box.type = "checkbox";
  box.setAttribute("aria-label", `Send ${position} again`);
  box.checked = chosen.has(position);
  box.addEventListener("change", () => {
    if (box.checked) chosen.add(position);
    else chosen.delete(position);
    $("again-which").value = CHOSEN;
    forget();
    showAgain(last.recent);
  });
  return box;
}

function forget() {
  counted = null;
  $("again-send").hidden = true;
  write($("again-said"), "");
}

function selection() {
  const which = $("again-which").value;
  if (which === CHOSEN) return { positions: [...chosen] };
  const since = $("again-since").value;
  return { codes: [which], ...(since ? { since } : {}) };
}

async function sendAgain(body) {
  for (const button of [$("again-count"), $("again-send")]) button.disabled = true;
  write($("again-said"), "…");
  try {
    const answer = await fetch(AGAIN, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await answer.json();
    if (answer.ok) return said;
    write($("again-said"), said.problem);
  } catch {
    write($("again-said"), "no answer: look at the log for what was sent");
  } finally {
    for (const button of [$("again-count"), $("again-send")]) button.disabled = false;
  }
  return null;
}

function inWords(said, verb) {
  const where = Object.entries(said.by_topic).map(([topic, sent]) => `${count(sent)} to ${topic}`);
  const cut = said.truncated ? `; ${count(said.truncated)} truncated ones stay` : "";
  const more = said.more ? "; there are more: count again afterwards" : "";
  return `${verb} ${where.join(", ") || "none"}${cut}${more}`;
}

$("again").addEventListener("submit", async (event) => {
  event.preventDefault();
  forget();
  const wanted = selection();
  if (wanted.positions && !wanted.positions.length) {
    write($("again-said"), "Tick a record in the table, or choose a code.");
    return;
  }
  const said = await sendAgain({ ...wanted, dry_run: true });
  if (!said) return;
  write($("again-said"), inWords(said, "There are"));
  counted = said.letters ? wanted : null;
  $("again-send").hidden = !counted;
  write($("again-send"), `Send ${count(said.letters)} again`);
});
$("again-send").addEventListener("click", async () => {
  const wanted = counted;
  const said = await sendAgain(wanted);
  if (!said) return;
  forget();
  write($("again-said"), inWords(said, "Sent"));
  $("again-count").focus();
});
for (const id of ["again-which", "again-since"]) {
  $(id).addEventListener("change", () => {
    forget();
    showAgain(last.recent);
  });
}
askMayAgain();
