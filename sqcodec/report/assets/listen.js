// The recordings: pictures of every system one below the other, one playhead, switching by mouse and keyboard.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const shownScores = ["pesq", "estoi", "mcd", "f0_cents", "bit_rate"];
const player = new Player(() => show());
let current = 0;
let blind = null; // the pair under test, while there is one

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function hide(id) { // a section, and the link to it
  element(id).hidden = document.querySelector(`nav a[href="#${id}"]`).hidden = true;
}

function scoreList(scores) {
  const list = make("dl");
  for (const key of shownScores) {
    const column = data.columns.find((each) => each.key === key);
    if (!column || scores[key] === undefined) continue;
    const text = `${scores[key].toFixed(column.decimals)} ${column.unit}`.trim();
    list.append(make("dt", {}, column.title), make("dd", {}, text));
  }
  return list;
}

function track(sound, index, seconds) {
  const image = make("img", { alt: `Spectrogram of ${sound.system}`, src: `data:image/png;base64,${sound.png}`, draggable: "false" });
  const picture = make("div", { class: "picture" }, image, make("span", { class: "head" }));
  const low = make("span", { class: "khz", style: "bottom:2px" }, "0");
  const high = make("span", { class: "khz", style: "top:2px" }, `${data.topFrequency / 1000} kHz`);
  picture.append(low, high);
  const name = make("div", { class: "name" }, make("kbd", {}, String(index + 1)), sound.system);
  const made = make("div", { class: "track", role: "radio", "aria-checked": "false", tabindex: "-1", "data-system": sound.system });
  made.append(make("div", {}, name, scoreList(sound.scores)), picture);
  made.addEventListener("click", () => player.choose(index));
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    player.choose(index);
    player.seek(((event.clientX - box.left) / box.width) * seconds);
    if (!player.playing) player.start();
  });
  return made;
}

async function open(index, version = player.version) {
  current = (index + data.utterances.length) % data.utterances.length;
  const utterance = data.utterances[current];
  element("utterance").value = String(current);
  element("tracks").replaceChildren(...utterance.sounds.map((sound, i) => track(sound, i, utterance.seconds)));
  element("position").max = utterance.seconds.toFixed(2);
  element("credit").textContent = utterance.credit;
  element("axis-right").textContent = `${utterance.seconds.toFixed(1)} s`;
  player.version = Math.min(version, utterance.sounds.length - 1);
  const loaded = await player.load(utterance.sounds);
  if (loaded) show();
  return loaded;
}

function show() {
  const { position, seconds, playing } = player;
  element("play").textContent = playing ? "Stop" : "Play";
  element("play").setAttribute("aria-pressed", String(playing));
  element("position").value = String(position);
  element("position").setAttribute("aria-valuetext", `${position.toFixed(1)} seconds`);
  element("clock").textContent = `${position.toFixed(1)} s`;
  [...element("tracks").children].forEach((each, index) => {
    const chosen = index === player.version && !blind;
    each.setAttribute("aria-checked", String(chosen));
    each.tabIndex = chosen || (blind && index === 0) ? 0 : -1;
    each.querySelector(".head").style.left = `${seconds ? (100 * position) / seconds : 0}%`;
  });
  showBlind();
  if (playing) requestAnimationFrame(show);
}

function leaveBlind() {
  if (blind) endTrial();
}

element("play").addEventListener("click", () => (player.playing ? player.stop() : player.start()));
element("position").addEventListener("input", (event) => player.seek(Number(event.target.value)));
element("utterance").addEventListener("change", (event) => { leaveBlind(); open(Number(event.target.value)); });
element("previous").addEventListener("click", () => { leaveBlind(); open(current - 1); });
element("next").addEventListener("click", () => { leaveBlind(); open(current + 1); });
element("match").addEventListener("change", (event) => {
  player.match = event.target.checked;
  if (player.playing) player.choose(player.version);
});

const keys = {
  " ": () => (player.playing ? player.stop() : player.start()),
  ArrowLeft: () => player.seek(player.position - 1),
  ArrowRight: () => player.seek(player.position + 1),
  ArrowUp: () => !blind && player.choose(player.version - 1),
  ArrowDown: () => !blind && player.choose(player.version + 1),
  n: () => !blind && open(current + 1),
  p: () => !blind && open(current - 1),
  r: () => blind && hear("R"),
  a: () => blind && hear("A"),
  b: () => blind && hear("B"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.matches("select") || !data.utterances.length) return;
  if (event.key === " " && event.target.matches("button, summary, input[type=checkbox]")) return; // it presses that
  if (event.key.startsWith("Arrow") && event.target.matches("input[type=range], .scroll")) return;
  const digit = "123456789".indexOf(event.key);
  const action = digit >= 0 && !blind ? () => player.choose(digit) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || event.key === "") return;
  event.preventDefault();
  action();
});

data.utterances.forEach((utterance, index) => element("utterance").append(make("option", { value: String(index) }, utterance.name)));
element("scale-text").textContent = `brightness: ${data.range} dB below the reference's loudest, in every picture`;
if (!data.utterances.length) hide("listen");
