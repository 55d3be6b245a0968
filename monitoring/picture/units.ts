const SECONDS_TO_MS = 1000;
const KIBI = 1024;
const BINARY_PREFIXES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A value as Grafana would write it in that unit. */
export function inUnit(value: number, unit: string): string {
  if (!Number.isFinite(value)) return '–';
  if (unit === 'percent') return `${short(value)} %`;
  if (unit === 'reqps') return `${short(value)} req/s`;
  if (unit === 'ops') return `${short(value)} ops/s`;
  if (unit === 's') return value < 1 ? `${short(value * SECONDS_TO_MS)} ms` : `${short(value)} s`;
  return unit === 'bytes' ? bytes(value) : short(value);
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function bytes(value: number): string {
  const power =
    value < 1 ? 0 : Math.min(Math.floor(Math.log(value) / Math.log(KIBI)), BINARY_PREFIXES.length - 1);
  return `${short(value / KIBI ** power)} ${BINARY_PREFIXES[power]}`;
}
