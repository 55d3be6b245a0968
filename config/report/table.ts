/** Cells of a line, the heading first. */
export type Rows = readonly (readonly string[])[];

const BETWEEN = '  ';

/** Lines whose cells stand one below the other. */
export function align(rows: Rows): string {
  const widths = widthsOf(rows);
  return rows.map((row) => lineOf(row, widths)).join('');
}

/**
 * The same in lines of `width` characters: where that is not enough, each row has a line for its first cell and further ones,
 * set in, for the others. A single cell that is too long is left as it is.
 */
export function alignWithin(rows: Rows, width: number): string {
  const widths = widthsOf(rows);
  if (lengthOf(widths) <= width) return align(rows);
  const room = width - BETWEEN.length;
  const groups: number[][] = [];
  for (let column = 1; column < widths.length; column += 1) {
    const group = groups.at(-1);
    const isFull = group === undefined || lengthOf([...group, column].map((at) => widths[at] ?? 0)) > room;
    if (isFull) groups.push([column]);
    else group.push(column);
  }
  return rows
    .map((row) => {
      const below = groups.map(
        (group) =>
          BETWEEN +
          lineOf(
            group.map((at) => row[at] ?? ''),
            group.map((at) => widths[at] ?? 0),
          ),
      );
      return [`${row[0]}\n`, ...below].join('');
    })
    .join('');
}

function widthsOf(rows: Rows): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return widths;
}

function lengthOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, BETWEEN.length * (widths.length - 1));
}

function lineOf(row: readonly string[], widths: readonly number[]): string {
  return `${row
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join(BETWEEN)
    .trimEnd()}\n`;
}
