const UNIT_BYTES = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** A number of bytes in whole MiB, for messages. */
export function inMib(bytes: number): string {
  return `${Math.round(bytes / UNIT_BYTES.MiB).toLocaleString('en')} MiB`;
}

/** A text that `parseBytes` reads as that many bytes: 1048576 gives `1MiB`, and 1000 `1000`. */
export function formatBytes(bytes: number): string {
  const [unit = '', size = 1] =
    Object.entries(UNIT_BYTES).findLast(([, each]) => bytes > 0 && bytes % each === 0) ?? [];
  return `${bytes / size}${unit}`;
}

/** Parses `65536`, `64KiB`, `1MiB` or `1GiB`; undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  for (const [unit, bytes] of Object.entries(UNIT_BYTES)) {
    const count = text.endsWith(unit) ? text.slice(0, text.length - unit.length) : '';
    const total = /^\d+$/.test(count) ? Number(count) * bytes : Number.NaN;
    if (Number.isSafeInteger(total)) return total;
  }
  return undefined;
}
