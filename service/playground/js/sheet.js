/** A sheet: eight columns of the unfolded view, and one canvas for their strips.

    Each canvas is a layer of its own to the browser, so that columns share one. While the
    selection moves, only the sheets it leaves and enters are compared. */

import { html, useEffect, useRef } from "../vendor/htm-preact.js";
import { Column } from "./column.js";
import { drawSoon, drawStrips, EDGE, fitCanvas } from "./strips.js";

export const COLUMNS_A_SHEET = 8;

/** First column of the sheet of a column. */
export const startOf = (index) => index - (index % COLUMNS_A_SHEET);

/** The sheet that begins at `start`; of its columns those from `first` to `end`. */
export function Sheet(props) {
  const { columns, start, end, look, unit } = props;
  const { layout, width } = look;
  const mine = describe(props);
  this.shouldComponentUpdate = (next) => describe(next).some((part, k) => part !== mine[k]);
  const from = Math.max(start, props.first);
  const selected = columns[props.selected];
  const isMarked = unit && selected && startOf(props.selected) === start;
  return html`<div class="sheet" style=${{ width: `${width * Math.min(COLUMNS_A_SHEET, columns.length - start)}px`, paddingLeft: `${(from - start) * width}px` }}>
    ${columns.slice(from, Math.min(end, start + COLUMNS_A_SHEET)).map((column, k) => {
      const index = from + k;
      return html`<${Column} key=${index} model=${props.model} column=${column} index=${index} width=${width} isSelected=${index === props.selected}
        layout=${layout} onSelect=${props.onSelect} onUnit=${props.onUnit} />`;
    })}
    <div class="drawn" aria-hidden="true" style=${{ height: `${layout.height}px` }}>
      <${Drawing} columns=${columns.slice(start, start + COLUMNS_A_SHEET)} look=${look} />
      ${isMarked && html`<${Marks} column=${selected} layout=${layout} unit=${unit} left=${(props.selected - start) * width + EDGE} width=${width - 2 * EDGE} />`}
    </div>
  </div>`;
}

// What a sheet shows; its handlers do the same whichever render they are from.
function describe({ columns, start, first, end, look, selected, unit }) {
  const stop = start + COLUMNS_A_SHEET;
  const hasSelected = startOf(selected) === start;
  const own = Array.from({ length: COLUMNS_A_SHEET }, (_, k) => columns[start + k]);
  return [look, Math.max(first, start), Math.min(end, stop), hasSelected && selected, hasSelected && unit, ...own];
}

/** The canvas with the strips of a sheet's columns; what is not drawn yet is soon. */
function Drawing({ columns, look }) {
  const canvas = useRef(null);
  const drawn = useRef({ look: null, columns: [] });
  useEffect(() => {
    if (drawn.current.look !== look) {
      fitCanvas(canvas.current, COLUMNS_A_SHEET * look.width, look.layout.height);
      drawn.current = { look, columns: [] };
    }
    const now = drawn.current.columns;
    const draws = Array.from({ length: COLUMNS_A_SHEET }, (_, k) => k)
      .filter((k) => now[k] !== columns[k])
      .map((k) =>
        drawSoon(() => {
          drawStrips(canvas.current, columns[k] ?? null, k, look);
          now[k] = columns[k];
        }),
      );
    return () => {
      for (const takeBack of draws) takeBack();
    };
  }, [look, ...columns]);
  return html`<canvas ref=${canvas} style=${{ width: `${COLUMNS_A_SHEET * look.width}px`, height: `${look.layout.height}px` }}></canvas>`;
}

/** A frame around one unit in every strip of its layer. */
function Marks({ column, layout, unit, left, width }) {
  const marked = layout.strips.filter(({ layer, name }) => layer === unit.layer && column.layers[layer]?.[name]);
  return marked.map(({ layer, name, top, height }) => {
    const step = width / column.layers[layer][name].length;
    const place = { left: left + unit.unit * step, width: Math.max(3, step), top, height };
    const style = Object.fromEntries(Object.entries(place).map(([side, pixels]) => [side, `${pixels}px`]));
    return html`<i key=${name} class="unit-mark" style=${style}></i>`;
  });
}
