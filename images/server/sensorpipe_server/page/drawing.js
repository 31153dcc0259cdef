/** How uPlot draws a sensor: colours, axes and points. The columns are those of Series. */

import { style } from "./dom.js";
import { number, timeLabels } from "./format.js";

/** Height of a plot with its axis, in CSS pixels. */
export const HEIGHT = 170;

const [OPEN, LOW, HIGH] = [2, 3, 4]; // columns

/** The options of a plot; `colour` is a property of the style sheet, `span()` in seconds. */
export function options(width, colour, span, hooks) {
  const stroke = () => style(colour);
  const axis = { stroke: () => style("--quiet"), font: "11px system-ui, sans-serif" };
  const grid = { stroke: () => style("--grid"), width: 1 };
  const hidden = { stroke: "transparent", width: 0, points: { show: false } };
  const points = (filter) => ({ show: true, size: 5, fill: stroke, filter });
  const wide = (_plot, labels) => 16 + 6.5 * Math.max(5, ...(labels ?? []).map((x) => x.length));
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 14, 0, 0],
    cursor: { sync: { key: "time" }, drag: { setScale: false }, y: false },
    scales: { x: { range: span } },
    series: [
      {},
      { stroke, width: 1.5, points: points(lonely) },
      { stroke, width: 1.5, dash: [4, 3], points: points((plot) => newest(plot.data[OPEN])) },
      hidden,
      hidden,
    ],
    bands: [{ series: [HIGH, LOW], fill: () => `${style(colour)}33` }],
    axes: [
      { ...axis, grid, ticks: { ...grid, size: 4 }, space: 64, size: 26, values: timeLabels },
      { ...axis, grid, ticks: { show: false }, space: 32, size: wide, values: valueLabels },
    ],
    hooks,
  };
}

const valueLabels = (_plot, splits) => splits.map(number);

const absent = (value) => value === null || value === undefined;

/** Points without a neighbour, which no line would show. */
function lonely(plot, column) {
  const values = plot.data[column];
  const alone = (i) => !absent(values[i]) && absent(values[i - 1]) && absent(values[i + 1]);
  return [...values.keys()].filter(alone);
}

function newest(values) {
  const at = values.findLastIndex((value) => !absent(value));
  return at < 0 ? [] : [at];
}
