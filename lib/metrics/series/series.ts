/** The values of a series' labels, in the order in which its metric names them. */
export type LabelValues = readonly string[];

/** Names series of a metric that are known although nothing may have happened in them. */
export type ListSeries = () => Iterable<LabelValues>;

/** The value every label gets once a metric has as many series as it may have. */
export const OVERFLOW = 'other';

/** Between the values of a key: unlike a comma or a newline it stands in no name of a service or replica. */
const BETWEEN_VALUES = '\0';

export function seriesKey(values: LabelValues): string {
  return values.join(BETWEEN_VALUES);
}

/** The series that takes what there is no room for. */
export function fold(values: LabelValues): LabelValues {
  return values.map(() => OVERFLOW);
}

export function isFolded(values: LabelValues): boolean {
  return values.every((value) => value === OVERFLOW);
}

/** Every combination of one value from each list. */
export function combinations(lists: readonly (readonly string[])[]): LabelValues[] {
  return lists.reduce<string[][]>(
    (rows, list) => rows.flatMap((row) => list.map((value) => [...row, value])),
    [[]],
  );
}
