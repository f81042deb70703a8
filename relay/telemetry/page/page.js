// Asks /status every two seconds and writes what it says as text. Nothing here makes markup of
// anything that came from outside: every word goes through textContent.
"use strict";

const EVERY_MS = 2000;
const HISTORY = 150; // five minutes
const HISTORY_MIN = 30; // the chart is as wide as a minute at least
const ROWS = 25; // partitions shown before somebody asks for all
const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rate = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

let paused = false;
let showAll = false;
let answered = 0;
let mayAgain = false; // set by again.js
let last = null;
const history = [];

function write(node, text) {
  const said = text === null || text === undefined ? "" : String(text);
  if (node.textContent !== said) node.textContent = said;
}

function make(tag, text, cls) {
  const node = document.createElement(tag);
  if (text !== undefined) write(node, text);
  if (cls) node.className = cls;
  return node;
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 100) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  if (value < 129600) return `${(value / 3600).toFixed(1)} h`;
  return `${Math.round(value / 86400)} days`;
}

const count = (value) => (value === null || value === undefined ? "–" : number.format(value));
const total = (counts) => Object.values(counts).reduce((sum, one) => sum + one, 0);
const time = (text) => text.replace("T", " ").replace("Z", "");

// A table keeps its rows: what does not change is not touched, so that a screen reader, a
// selection and a scroll position stay where they are.
function table(node, columns, rows, empty) {
  if (!node.tHead) {
    const row = node.createTHead().insertRow();
    for (const column of columns) {
      const head = make("th", column.name, column.cls || "");
      head.scope = "col";
      row.append(head);
    }
    node.createTBody();
  }
  const body = node.tBodies[0];
  while (body.rows.length > Math.max(rows.length, 1)) body.deleteRow(-1);
  if (!rows.length) {
    const kept = body.rows[0];
    if (kept && kept.dataset.empty === "yes") return;
    if (kept) kept.remove();
    const row = body.insertRow();
    row.dataset.empty = "yes";
    const cell = make("td", empty, "none");
    cell.colSpan = columns.length;
    row.append(cell);
    return;
  }
  if (body.rows[0] && body.rows[0].dataset.empty === "yes") body.deleteRow(0);
  rows.forEach((values, at) => {
    let row = body.rows[at];
    if (!row) {
      row = body.insertRow();
      columns.forEach((column) => {
        const cell = make(column.head ? "th" : "td");
        if (column.head) cell.scope = "row";
        row.append(cell);
      });
    }
    columns.forEach((column, index) => {
      const value = values[index];
      const cell = row.cells[index];
      const plain = value === null || typeof value !== "object";
      const cls = `${column.cls || ""} ${plain ? "" : value.cls || ""}`.trim();
      if (cell.className !== cls) cell.className = cls;
      if (!plain && value.share !== undefined) bar(cell, value);
      else if (!plain && value.tick !== undefined) ticked(cell, value.tick);
      else write(cell, plain ? value : value.text);
    });
  });
}

function bar(cell, value) {
  if (!cell.firstElementChild) {
    const line = make("progress", undefined, "bar");
    line.setAttribute("aria-hidden", "true");
    cell.replaceChildren(document.createTextNode(""), line);
  }
  if (cell.firstChild.data !== value.text) cell.firstChild.data = value.text;
  cell.lastElementChild.value = Math.min(1, value.share);
}

function ticked(cell, position) {
  if (cell.dataset.position === position) return;
  cell.dataset.position = position;
  cell.replaceChildren(tick(position));
}

function tiles(node, values) {
  values.forEach(([name, value, unit, cls], at) => {
    let tile = node.children[at];
    if (!tile) {
      tile = make("div");
      const text = make("dd");
      text.append(document.createTextNode(""), make("span"));
      tile.append(make("dt"), text);
      node.append(tile);
    }
    if (tile.className !== (cls || "")) tile.className = cls || "";
    write(tile.firstChild, name);
    const text = tile.lastChild;
    if (text.firstChild.data !== value) text.firstChild.data = value;
    write(text.lastChild, unit ? ` ${unit}` : "");
  });
  while (node.children.length > values.length) node.lastChild.remove();
}

function showTroubles(troubles, status) {
  const calm = status.lifecycle === "running" ? "Nothing is wrong" : `Relay is ${status.lifecycle}`;
  const key = JSON.stringify([calm, troubles.map((one) => [one.level, one.what, one.reason])]);
  const box = $("troubles");
  if (box.dataset.key !== key) {
    box.dataset.key = key;
    const boxes = troubles.map((one) => {
      const item = make("div", undefined, `trouble ${one.level === "error" ? "error" : "warning"}`);
      item.append(make("strong", one.what));
      if (one.reason) item.append(make("p", one.reason));
      const foot = make("p");
      foot.append(make("span", ""));
      if (one.runbook) {
        const link = make("a", "What to do");
        link.href = `runbook#${encodeURIComponent(one.runbook)}`;
        link.setAttribute("aria-label", `What to do: ${one.what}`);
        foot.append(link);
      }
      item.append(foot);
      return item;
    });
    if (!boxes.length) {
      const running = status.lifecycle === "running";
      const fine = make("div", undefined, running ? "trouble fine" : "trouble warning");
      fine.append(make("strong", calm));
      boxes.push(fine);
    }
    box.replaceChildren(...boxes);
  }
  // The time that goes by is no news to a screen reader.
  troubles.forEach((one, at) => {
    const since = box.children[at].lastChild.firstChild;
    since.setAttribute("aria-hidden", "true");
    write(since, one.for_s === null ? "" : `for ${seconds(one.for_s)} `);
  });
}

function destinationsOf(status) {
  if (status.destinations) {
    return Object.entries(status.destinations).map(([name, one]) => ({ name, ...one }));
  }
  return [{ name: "tracking API", ...status.destination }];
}

function showFlow(status) {
  const { rates, ledger } = status;
  const all = destinationsOf(status);
  const sum = (name) => all.reduce((value, one) => value + one[name], 0);
  const worst = (name, share) =>
    all.reduce((value, one) => {
      const found = one[name] && one[name][share];
      return found === null || found === undefined ? value : Math.max(value ?? 0, found);
    }, null);
  write($("flow-over"), rates.over_s ? `of the last ${Math.round(rates.over_s)} s` : "");
  tiles($("tiles"), [
    ["received", rate.format(rates.received), "/s"],
    ["delivered", rate.format(rates.delivered), "/s"],
    ["dead-lettered", rate.format(rates.dead_lettered), "/s", rates.dead_lettered ? "bad" : ""],
    ["in flight", count(sum("in_flight")), `of ${count(sum("limit"))}`],
    ["waiting in memory", count(sum("waiting"))],
    ["lag", count(status.lag)],
    ["lateness p50", seconds(worst("lateness_s", "p50"))],
    ["lateness p99", seconds(worst("lateness_s", "p99"))],
    ["round trip p50", seconds(worst("round_trip_s", "p50"))],
    ["round trip p99", seconds(worst("round_trip_s", "p99"))],
    ["delivered since start", count(ledger.delivered)],
    ["dead letters since start", count(total(ledger.dead_lettered))],
  ]);
  history.push(rates.delivered);
  if (history.length > HISTORY) history.shift();
  const most = Math.max(...history, 1);
  const step = 600 / (Math.max(history.length, HISTORY_MIN) - 1);
  const from = 600 - (history.length - 1) * step;
  const points = history.map(
    (value, at) => `${(from + at * step).toFixed(1)},${(62 - (value / most) * 58).toFixed(1)}`,
  );
  $("chart-line").setAttribute("d", `M${points.join("L")}`);
  $("chart-area").setAttribute("d", `M${from.toFixed(1)},64L${points.join("L")}L600,64Z`);
  write(
    $("chart-text"),
    `Delivered a second, the last ${seconds(Math.max(history.length, HISTORY_MIN) * EVERY_MS / 1000)}; ` +
      `at most ${rate.format(Math.max(...history))}`,
  );
}

const STATES = { flowing: "", paused: "warn", down: "bad", held: "bad" };

function showDestinations(status) {
  table(
    $("destinations"),
    [
      { name: "destination", head: true },
      { name: "state" },
      { name: "for", cls: "number" },
      { name: "in flight of limit", cls: "number" },
      { name: "limit last moved by", cls: "fold" },
      { name: "waiting", cls: "number" },
      { name: "users at rest", cls: "number fold" },
      { name: "reason", cls: "wide" },
    ],
    destinationsOf(status).map((one) => [
      one.name,
      { text: one.state, cls: STATES[one.state] ?? "warn" },
      seconds(one.for_s),
      {
        text: `${count(one.in_flight)} / ${count(one.limit)}`,
        share: one.limit ? one.in_flight / one.limit : 0,
      },
      one.limit_changed_because,
      count(one.waiting),
      count(one.resting_lanes),
      one.reason,
    ]),
    "none",
  );
}

function showSegments(road) {
  $("segments-section").hidden = !road;
  if (!road) return;
  tiles($("segments"), [
    ["records read", rate.format(road.rates.received), "/s"],
    ["events imported", rate.format(road.rates.delivered), "/s"],
    ["changes waiting", count(road.waiting)],
    ["under way", count(road.flying), `in ${road.files} files`],
    ["in trouble", count(road.in_trouble), "", road.in_trouble ? "bad" : ""],
    ["lag", count(road.lag)],
    ["oldest", seconds(road.oldest_s)],
  ]);
}

function pinText(pin) {
  if (!pin) return "";
  let tried = "schema" in pin ? `, its schema ${pin.schema} is not there` : "";
  const times = pin.attempts === 1 ? "1 attempt" : `${pin.attempts} attempts`;
  if (pin.last_verdict) tried = `, ${times}, last ${pin.last_verdict}`;
  else if (pin.attempts) tried = ", under way";
  const bound = pin.destination ? ` to ${pin.destination}` : "";
  return `offset ${pin.offset}${bound} for ${seconds(pin.for_s)}${tried}`;
}

function showPartitions(status) {
  const wanted = $("find").value.trim().toLowerCase();
  const onlyBehind = $("behind").checked;
  const every = Object.entries(status.partitions);
  const found = every.filter(
    ([name, one]) =>
      (!wanted || name.toLowerCase().includes(wanted)) && (!onlyBehind || one.lag || one.open),
  );
  const pinned = ([, one]) => (one.pinned_by ? one.pinned_by.for_s : 0);
  const stuck = ([, one]) => (one.pinned_by && one.pinned_by.for_s > 60 ? 1 : 0);
  // By the size of the lag and not the lag itself, so that rows do not jump at every look.
  const behind = ([, one]) => Math.floor(Math.log10((one.lag || 0) + 1));
  found.sort(
    (a, b) =>
      stuck(b) - stuck(a) ||
      (stuck(a) ? pinned(b) - pinned(a) : 0) ||
      behind(b) - behind(a) ||
      a[0].localeCompare(b[0], "en", { numeric: true }),
  );
  const shown = showAll || wanted ? found : found.slice(0, ROWS);
  const paused = status.paused_partitions ? `, ${status.paused_partitions} paused` : "";
  write($("partitions-count"), `${count(every.length)} assigned${paused}`);
  table(
    $("partitions"),
    [
      { name: "partition", head: true },
      { name: "lag", cls: "number" },
      { name: "open", cls: "number" },
      { name: "in flight", cls: "number" },
      { name: "committed", cls: "number fold" },
      { name: "metadata", cls: "number fold" },
      { name: "held by", cls: "wide" },
    ],
    shown.map(([name, one]) => [
      name,
      count(one.lag),
      count(one.open),
      count(one.in_flight),
      one.committed === null ? "–" : String(one.committed),
      { text: `${Math.round(one.map_fill * 100)} %`, cls: one.map_fill >= 0.8 ? "warn" : "" },
      {
        text: pinText(one.pinned_by),
        cls: one.pinned_by && one.pinned_by.for_s >= 300 ? "warn" : "",
      },
    ]),
    every.length ? "none fits" : "no partition is assigned",
  );
  const button = $("all");
  const hidden = found.length - ROWS;
  button.hidden = hidden <= 0 || Boolean(wanted);
  write(button, showAll ? `Show only ${ROWS}` : `Show all ${count(found.length)}`);
}

function showLetters(recent) {
  const items = recent.dead_letter_codes.map((one) => {
    const item = make("li");
    item.append(make("b", count(one.count)), ` ${one.class} ${one.code}, last ${time(one.last)}`);
    return item;
  });
  $("codes").replaceChildren(...items);
  $("codes").hidden = !items.length;
  if (mayAgain) showAgain(recent);
  table(
    $("letters"),
    [
      ...(mayAgain ? [{ name: "again" }] : []),
      { name: "time (UTC)", cls: "time" },
      { name: "record", head: true },
      { name: "class" },
      { name: "code" },
      { name: "attempts", cls: "number fold" },
      { name: "reason", cls: "wide" },
    ],
    recent.dead_letters
      .slice(0, 10)
      .map((one) => [
        ...(mayAgain ? [{ tick: one.position }] : []),
        time(one.at), one.position, one.class, one.code, count(one.attempts), one.reason,
      ]),
    "none",
  );
}

function showEvents(recent) {
  table(
    $("events"),
    [
      { name: "time (UTC)", cls: "time" },
      { name: "level" },
      { name: "event", head: true, cls: "event" },
      { name: "what it said", cls: "wide" },
    ],
    recent.events
      .slice(0, 15)
      .map((one) => [
        time(one.at),
        { text: one.level, cls: one.level === "error" ? "bad" : "warn" },
        one.event,
        one.said,
      ]),
    "none",
  );
}

function showProcess(process, lifecycle, troubles) {
  const badge = $("lifecycle");
  const ready = process.ready;
  write(badge, ready ? `${lifecycle}, ready` : `${lifecycle}, not ready`);
  badge.className = `badge ${ready ? (troubles.length ? "warn" : "good") : "bad"}`;
  if (!ready && lifecycle !== "running") badge.className = "badge warn";
  const topics = process.topics;
  const named = topics.length > 3 ? `${topics.length} topics` : topics.join(", ");
  const said = `${named} · group ${process.group_id} · ${process.host} · ${process.version}`;
  write($("about"), said);
  const wrong = troubles.filter((one) => one.level === "error").length;
  document.title = wrong ? `(${wrong}) Relay: ${troubles[0].what}` : `Relay: ${lifecycle}`;
}

function show(status) {
  const of = status.process;
  showProcess(of, status.lifecycle, status.troubles);
  showTroubles(status.troubles, status);
  showFlow(status);
  showDestinations(status);
  showSegments(status.segments);
  showPartitions(status);
  showLetters(status.recent);
  showEvents(status.recent);
}

function age() {
  const box = $("fresh");
  if (!answered) return;
  const old = Math.round((Date.now() - answered) / 1000);
  const stale = old > 10 && !paused;
  box.parentNode.className = stale ? "fresh stale" : "fresh";
  write(
    box,
    stale ? `no answer for ${seconds(old)}` : paused ? `as of ${seconds(old)} ago` : "live",
  );
}

async function ask() {
  if (paused || document.hidden) return;
  try {
    const answer = await fetch("status", {
      cache: "no-store",
      signal: AbortSignal.timeout(5000),
    });
    if (!answer.ok) return;
    last = await answer.json();
    answered = Date.now();
    show(last);
  } catch {
    // Said by age(): the page keeps what it had, and says how old that is.
  }
  age();
}

function flat(value, name, rows) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) flat(inner, name ? `${name}.${key}` : key, rows);
  } else {
    rows.push([name, Array.isArray(value) ? JSON.stringify(value) : value === null ? "" : value]);
  }
  return rows;
}

async function askSettings() {
  if (!$("settings-box").open || $("settings").tHead) return;
  const answer = await fetch("settings");
  if (!answer.ok) return;
  const columns = [{ name: "setting", head: true }, { name: "value", cls: "wide" }];
  table($("settings"), columns, flat(await answer.json(), "", []), "none");
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  age();
  ask();
});
$("all").addEventListener("click", () => {
  showAll = !showAll;
  if (last) showPartitions(last);
});
for (const id of ["find", "behind"]) {
  $(id).addEventListener("input", () => last && showPartitions(last));
}
$("settings-box").addEventListener("toggle", askSettings);
document.addEventListener("visibilitychange", ask);
setInterval(ask, EVERY_MS);
setInterval(age, 1000);
ask();
