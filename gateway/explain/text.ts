import type {
  CacheExplained,
  Explanation,
  Origin,
  Outcome,
  RouteExplained,
  RouteReason,
  StageExplained,
  UpstreamExplained,
  ValueExplained,
} from './explanation.ts';

/** Makes headings stand out, or leaves them as they are. */
export type Emphasis = (text: string) => string;

const WIDTH = 120;
const INDENT = '  ';

const HANDLINGS: Readonly<Record<CacheExplained['handling'], string>> = {
  lookup: 'a stored response may be served, and the response be stored, under a key of',
  method: 'not asked: its method is safe, and responses to it are not stored',
  unsafe: 'not asked: when it succeeds, what is stored under its path is invalidated',
  bypass: 'not asked: the request wants none, depends on more than its target, or may be given nothing',
};

const AUDIENCES: Readonly<Record<string, string>> = {
  identity: 'whoever the token is of',
  anonymous: 'whoever brings neither token nor cookie',
  everyone: 'everybody, where the response says so',
};

/** An explanation as lines of 120 characters. */
export function explanationText(explanation: Explanation, emphasis: Emphasis): string {
  const { request, outcome, route, beaten, unmatched, stages, upstream, cache } = explanation;
  const place = `on the ${request.port} port`;
  return [
    section(emphasis('Request'), [
      `${request.method} ${request.target} for ${request.host || 'no host'}, ${place}`,
    ]),
    section(emphasis('Outcome'), outcomeLines(outcome, upstream)),
    section(emphasis('Route'), routeLines(route, beaten, unmatched)),
    section(emphasis('Stages, in this order'), stageLines(stages)),
    ...(cache ? [section(emphasis('Cache'), cacheLines(cache))] : []),
    ...(upstream ? [section(emphasis('Service'), upstreamLines(upstream))] : []),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

function section(heading: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `${heading}\n${lines.flatMap((line) => wrapped(line)).join('')}`;
}

function outcomeLines(outcome: Outcome, upstream: UpstreamExplained | undefined): string[] {
  const { kind, status, code, reason, location, allow } = outcome;
  switch (kind) {
    case 'forward':
      return [
        `${upstream?.service ?? 'a service'} is asked for ${upstream?.target ?? '/'}, unless a stage responds`,
        ...(reason === undefined ? [] : [reason]),
      ];
    case 'redirect':
      return [`the route responds with ${status} and Location: ${location}`];
    case 'respond':
      return [`the route responds with ${status}`];
    case 'preflight':
      return [
        `cors responds to the preflight with ${status}; the route is that of the method that it asks for`,
      ];
    case 'own':
      return [reason ?? ''];
    case 'refuse':
      return [
        `the gateway responds with ${status} ${code}: ${reason}`,
        ...(allow === undefined ? [] : [`Allow: ${allow}`]),
      ];
  }
}

function routeLines(
  route: RouteExplained | undefined,
  beaten: readonly RouteReason[],
  unmatched: readonly RouteReason[],
): string[] {
  const spelling = route?.spelling === 'any' ? 'any spelling of its path' : 'its path byte for byte';
  const own = route ? [`${route.name}${route.place ? ` (${route.place})` : ''}, for ${spelling}`] : [];
  return [
    ...own,
    ...beaten.map(({ name, reason }) => (route ? `comes before ${name}: ${reason}` : `${name}: ${reason}`)),
    ...unmatched.map(({ name, reason }) => `does not match ${name}: ${reason}`),
  ];
}

function stageLines(stages: readonly StageExplained[]): string[] {
  const nameWidth = Math.max(0, ...stages.map(({ name }) => name.length));
  const valueWidth = Math.max(0, ...stages.flatMap(({ values }) => values.map(({ name }) => name.length)));
  return stages.flatMap(({ name, isThere, note, values }) => {
    const notes = note === undefined ? [] : [isThere ? note : `not in the chain: ${note}`];
    const shown = isThere ? values : values.filter(({ from }) => from.level !== 'default');
    const rows = [...notes, ...shown.map((value) => valueText(value, valueWidth))];
    return (rows.length > 0 ? rows : ['']).map(
      (row, index) => `${(index === 0 ? name : '').padEnd(nameWidth)}${INDENT}${row}`,
    );
  });
}

function valueText({ name, value, from }: ValueExplained, width: number): string {
  return `${name.padEnd(width)}  ${value}  [${originText(from)}]`;
}

function originText({ and = [], ...from }: Origin): string {
  return [from, ...and].map(placeText).join('; ');
}

function placeText({ level, place, variable }: Origin): string {
  if (place !== undefined) return `${level}, ${place}`;
  const where = { environment: 'environment', '.env': '.env', file: 'its file', default: 'default' };
  const text = where[level as keyof typeof where] ?? level;
  return variable === undefined ? text : `${variable}, ${text}`;
}

function cacheLines({ handling, key }: CacheExplained): string[] {
  if (!key) return [HANDLINGS[handling]];
  return [
    HANDLINGS[handling],
    `service  ${key.service}`,
    `host     ${key.authority}`,
    `target   ${key.target}`,
    ...(key.route === undefined ? [] : [`route    ${key.route}`]),
    `for      ${key.audiences.map((each) => AUDIENCES[each] ?? each).join('; or ')}`,
  ];
}

function upstreamLines(upstream: UpstreamExplained): string[] {
  const { service, target, cut, rewrite, replicas, choice, registry, fieldsAdded, fieldsRemoved } = upstream;
  const how = rewrite === undefined ? (cut === '' ? '' : `, without ${cut}`) : `, by rewrite ${rewrite}`;
  const fixed = replicas.length > 0 ? replicas.join(', ') : 'none';
  return [
    `${service} gets ${target}${how}`,
    `fields added:   ${fieldsAdded.join(', ') || 'none'}`,
    `fields removed: ${fieldsRemoved.join(', ') || 'none'}`,
    registry === undefined
      ? `replicas: ${fixed}`
      : `replicas: from the registry (${registry}); until it lists some: ${fixed}`,
    `chosen:   ${choice.replica === undefined ? '' : `${choice.replica}, `}${choice.reason}`,
  ];
}

/** Breaks a line at blanks. What follows is indented further. */
function wrapped(line: string): string[] {
  const lines: string[] = [];
  let rest = `${INDENT}${line.trimEnd()}`;
  while (rest.length > WIDTH) {
    const blank = rest.lastIndexOf(' ', WIDTH);
    const end = blank > WIDTH / 2 ? blank : WIDTH;
    lines.push(`${rest.slice(0, end).trimEnd()}\n`);
    rest = `${INDENT.repeat(3)}${rest.slice(end).trimStart()}`;
  }
  return [...lines, `${rest}\n`];
}
