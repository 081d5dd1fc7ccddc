// The table of results: sorting by a heading, and a mark on the best of each column.
const results = document.getElementById("scores");
const heads = [...results.tHead.rows[0].cells];

const valueOf = (row, column) => {
  const cell = row.cells[column];
  if (column === 0) return cell.textContent;
  return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
};

function compare(a, b, way) {
  if (a === null || b === null) return (a === null) - (b === null); // what has no figure stays below
  return way * (typeof a === "string" ? a.localeCompare(b) : a - b);
}

function sortBy(column) {
  const head = heads[column];
  const first = head.dataset.better === "higher" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  heads.forEach((each) => each.setAttribute("aria-sort", each === head ? order : "none"));
  const way = order === "ascending" ? 1 : -1;
  const rows = [...results.tBodies[0].rows];
  rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), way));
  results.tBodies[0].append(...rows);
}

heads.forEach((head, column) => {
  head.querySelector("button").addEventListener("click", () => sortBy(column));
  const better = head.dataset.better;
  const cells = [...results.tBodies[0].rows].map((row) => row.cells[column]).filter((cell) => cell.dataset.value);
  if (!better || cells.length < 2) return;
  const values = cells.map((cell) => Number(cell.dataset.value));
  const best = better === "higher" ? Math.max(...values) : Math.min(...values);
  cells.filter((cell) => Number(cell.dataset.value) === best).forEach((cell) => cell.classList.add("best"));
});
