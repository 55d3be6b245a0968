import { medianOf, type SubjectResult } from './results.ts';

const WIDTH = 760;
const ROW_HEIGHT = 24;
const BAR_HEIGHT = 15;
const NAME_WIDTH = 190;
const VALUE_WIDTH = 60;
const TOP = 34;
/** Readable on white as on black. */
const INK = '#80868f';
const GATEWAY = '#3b82f6';
const PEER = '#9aa3af';

/** A bar for each contender: its CPU time per request, the cheapest first. */
export function costPicture(result: SubjectResult): string {
  const bars = [...result.rounds.keys()]
    .filter((name) => name !== result.control?.name)
    .map((name) => ({ name, us: medianOf(result, name, 'cpuUs') }))
    .filter(({ us }) => Number.isFinite(us))
    .sort((a, b) => a.us - b.us);
  const most = Math.max(...bars.map(({ us }) => us));
  const rows = bars.map(({ name, us }, index) => {
    const y = TOP + index * ROW_HEIGHT;
    const length = ((WIDTH - NAME_WIDTH - VALUE_WIDTH) * us) / most;
    const color = name.startsWith('gateway') ? GATEWAY : PEER;
    return `<text x="${NAME_WIDTH - 8}" y="${y + 12}" text-anchor="end">${escapeXml(name)}</text>
<rect x="${NAME_WIDTH}" y="${y}" width="${length.toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${color}"/>
<text x="${(NAME_WIDTH + length + 6).toFixed(1)}" y="${y + 12}">${us.toFixed(1)}</text>`;
  });
  const title = `CPU time per request, in microseconds: ${result.title}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${TOP + bars.length * ROW_HEIGHT}" font-family="sans-serif" font-size="12" fill="${INK}">
<title>${escapeXml(title)}</title>
<text x="8" y="18">${escapeXml(title)}</text>
${rows.join('\n')}
</svg>
`;
}

/** Text as it may stand in an element or an attribute. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
