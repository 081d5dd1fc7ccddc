// The blind test: A and B are two systems in an order drawn by chance; votes can be saved as a file.
const votes = [];
const pick = (list) => list[Math.floor(Math.random() * list.length)];

function shuffled(list) {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

function trials() {
  return data.utterances.map((utterance, index) => index).filter((index) => data.utterances[index].sounds.length > 2);
}

async function begin() {
  const index = pick(trials());
  const others = data.utterances[index].sounds.map((sound, version) => version).slice(1);
  const [a, b] = shuffled(others);
  blind = { index, versions: { R: 0, A: a, B: b }, heard: new Set(), voice: "R" };
  element("listen").hidden = true; // its pictures and names would tell
  if (await open(index, 0)) hear("R");
}

function hear(voice) {
  if (!blind || !player.loaded) return; // it ended, or is not there yet
  blind.voice = voice;
  blind.heard.add(voice);
  player.choose(blind.versions[voice]);
  if (!player.playing) player.start();
}

function endTrial() {
  blind = null;
  element("listen").hidden = false;
  player.stop();
}

function vote(answer) {
  const sounds = data.utterances[blind.index].sounds;
  const { A, B } = blind.versions;
  votes.push({
    utterance: data.utterances[blind.index].name,
    a: sounds[A].system,
    b: sounds[B].system,
    better: answer === "=" ? null : sounds[answer === "A" ? A : B].system,
    heard: [...blind.heard].sort(),
    time: new Date().toISOString(),
  });
  player.stop();
  element("tally").hidden = true;
  begin();
}

function showBlind() {
  const active = blind !== null;
  element("begin").textContent = active ? "End" : votes.length ? "Go on" : "Begin";
  element("voices").hidden = !active;
  element("ballot").hidden = !active;
  for (const button of element("voices").querySelectorAll("button")) {
    button.setAttribute("aria-checked", String(active && blind.voice === button.dataset.voice && player.playing));
  }
  for (const button of element("ballot").querySelectorAll("button")) {
    button.disabled = !(active && blind.heard.has("A") && blind.heard.has("B"));
  }
  element("count").textContent = votes.length ? `${votes.length} vote${votes.length > 1 ? "s" : ""}.` : "No votes yet.";
  element("save").disabled = element("reveal").disabled = !votes.length;
}

function save() {
  const text = JSON.stringify({ page: data.title, votes }, null, 1);
  const link = make("a", { download: "votes.json", href: URL.createObjectURL(new Blob([text], { type: "application/json" })) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function reveal() {
  const tally = {};
  for (const { a, b, better } of votes) {
    for (const name of [a, b]) {
      tally[name] ??= { won: 0, equal: 0, lost: 0 };
      tally[name][better === null ? "equal" : better === name ? "won" : "lost"]++;
    }
  }
  const rows = Object.entries(tally).sort(([, x], [, y]) => y.won - y.lost - (x.won - x.lost));
  const head = make("tr", {}, ...["System", "won", "equal", "lost"].map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([name, { won, equal, lost }]) =>
    make("tr", {}, make("th", { scope: "row" }, name), ...[won, equal, lost].map((n) => make("td", {}, String(n)))));
  element("tally").replaceChildren(head, ...body);
  element("tally").hidden = false;
}

element("begin").addEventListener("click", () => (blind ? endTrial() : begin()));
element("save").addEventListener("click", save);
element("reveal").addEventListener("click", reveal);
for (const button of element("voices").querySelectorAll("button")) button.addEventListener("click", () => hear(button.dataset.voice));
for (const button of element("ballot").querySelectorAll("button")) button.addEventListener("click", () => vote(button.dataset.vote));
if (!trials().length) hide("blind");
if (data.utterances.length) open(0);
