/**
 * The console at `/play`: one statement, its result as a table. It asks as `reader`, so that what is typed or
 * pasted there can only read.
 */
export const CONSOLE_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Courtside SQL</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
  body { margin: 1.5rem; }
  textarea { width: 100%; min-height: 8rem; box-sizing: border-box; font: 14px/1.4 ui-monospace, monospace; padding: .6rem; }
  button { font: inherit; padding: .3rem .9rem; margin: .6rem .6rem .6rem 0; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { text-align: left; padding: .2rem .7rem; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
  td.number { text-align: right; }
  .error { color: #c62828; white-space: pre-wrap; }
</style>
<h1>Courtside SQL</h1>
<form>
  <label for="sql">One statement that reads (Ctrl+Enter runs it)</label>
  <textarea id="sql" spellcheck="false" autofocus>SELECT name, total_rows, comment FROM system.tables WHERE database = 'courtside' ORDER BY name</textarea>
  <button>Run</button><span role="status" id="status"></span>
</form>
<div id="result"></div>
<script type="module">
  const form = document.querySelector("form");
  const sql = document.querySelector("#sql");
  const status = document.querySelector("#status");
  const result = document.querySelector("#result");
  if (location.hash) sql.value = decodeURIComponent(location.hash.slice(1));
  const cell = (name, text, isNumber) => {
    const element = document.createElement(name);
    element.textContent = text;
    if (isNumber) element.className = "number";
    return element;
  };
  const show = ({ meta, data }) => {
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const { name } of meta) head.append(cell("th", name));
    const body = table.createTBody();
    for (const row of data) {
      const line = body.insertRow();
      row.forEach((value, i) => line.append(cell("td", value === null ? "NULL" : typeof value === "object" ? JSON.stringify(value) : String(value), /Int|Float|Decimal/.test(meta[i].type))));
    }
    result.replaceChildren(table);
  };
  const run = async () => {
    location.hash = encodeURIComponent(sql.value);
    status.textContent = "running…";
    const started = performance.now();
    const address = "/?user=reader&database=courtside&default_format=JSONCompact&max_result_rows=10000&output_format_json_quote_64bit_integers=1";
    const response = await fetch(address, { method: "POST", body: sql.value });
    const text = await response.text();
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    if (!response.ok) {
      status.textContent = "failed after " + seconds + " s";
      const error = cell("p", text);
      error.className = "error";
      return result.replaceChildren(error);
    }
    try {
      const answer = JSON.parse(text);
      status.textContent = answer.rows + " rows in " + seconds + " s";
      show(answer);
    } catch {
      status.textContent = seconds + " s";
      result.replaceChildren(cell("pre", text));
    }
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
  sql.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); } });
</script>
</html>
`;
