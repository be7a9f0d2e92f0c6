// Findings narrowed by severity, kind and text; runs sorted by a column; the ways to the sections.
//
// Assumes    the tables in the markup. Guarantees that without a choice every row is there.

function findings() {
  const rows = [...document.querySelectorAll('#finding-table tbody tr')];
  if (rows.length === 0) return;
  const form = byId('finding-filter');
  form.hidden = false;
  const kinds = [...new Set(rows.map((row) => row.dataset.kind))].sort();
  byId('finding-kind').append(...kinds.map((kind) => html('option', { value: kind, text: kind })));
  const narrow = () => {
    const severities = new Set([...form.querySelectorAll('[data-severity]')].filter((box) => box.checked).map((box) => box.dataset.severity));
    const kind = byId('finding-kind').value;
    const words = byId('finding-text').value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(severities.has(row.dataset.severity) && (!kind || row.dataset.kind === kind) && words.every((w) => text.includes(w)));
      if (!row.hidden) shown += 1;
    }
    byId('finding-count').textContent = `${shown} of ${rows.length} shown`;
  };
  form.addEventListener('input', narrow);
  narrow();
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = html('button', { type: 'button', class: 'sort', text: head.textContent });
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const key = (row) => row.cells[column].textContent;
      const order = (a, b) => {
        // A run without a value comes last, whichever way.
        if (!key(a) || !key(b)) return (key(a) ? 0 : 1) - (key(b) ? 0 : 1);
        const way = key(a).localeCompare(key(b), 'en', { numeric: true });
        return down ? -way : way;
      };
      body.append(...[...body.rows].sort(order));
    });
  });
}

// What there is not needs no way there.
for (const link of document.querySelectorAll('nav a')) {
  if (document.querySelector(link.getAttribute('href')).hidden) link.hidden = true;
}

findings();
sortable(byId('run-table'));
