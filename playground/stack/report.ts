import { styleText } from 'node:util';
import { SERVICE_NAMES, type ServiceName } from '../catalogue.ts';
import type { PlaygroundUrls } from '../messages.ts';
import { READY_MADE_PASSWORD, READY_MADE_USERS } from '../services/users/users.ts';
import type { Child } from './child.ts';

type Format = Parameters<typeof styleText>[0];

/** Coloured on a terminal, plain elsewhere and where NO_COLOR is set. */
function paint(format: Format, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

export function startedLine(name: string, url: string): string {
  return `${paint('green', '✔')} ${name.padEnd(20)} ${paint('dim', url)}`;
}

export function childLine(name: string, line: string): string {
  return `${paint('cyan', `${name} |`)} ${line}`;
}

export function headline(text: string): string {
  return paint('bold', text);
}

export function failure(text: string): string {
  return `${paint('red', '✘')} ${text}`;
}

/** A child's end that nobody asked for, with what it said last. */
export function deathNotice({ name, lastLines }: Child, how: string): string {
  const said = lastLines.length > 0 ? 'Its last lines:' : 'It wrote nothing.';
  return [failure(`${name} ${how}. ${said}`), ...lastLines.map((line) => `    ${line}`)].join('\n');
}

/** What runs where. */
export function table(urls: PlaygroundUrls, pids: Readonly<Record<string, number>>): string {
  const rows = [
    ['NAME', 'ADDRESS', 'PID', 'FOR'],
    ...(urls.external
      ? [['gateway', urls.external, String(pids.gateway), 'users: /<service>/..., with a token']]
      : []),
    ...(urls.internal ? [['', urls.internal, '', 'services: /internal/<service>/...']] : []),
    ...(urls.page ? [['page', urls.page, '', 'browsers: tries the gateway from another origin']] : []),
    ['registry', urls.registry, String(pids.registry), 'GET /services'],
    ...SERVICE_NAMES.flatMap((service) =>
      urls.services[service].map((url, index) => {
        const name = `${service}.${index + 1}`;
        return [name, url, String(pids[name]), `/${service}`];
      }),
    ),
  ];
  return columns(rows);
}

/** Rows below each other, the first of them the headings. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return lines.map((line, index) => (index === 0 ? paint('bold', line) : line)).join('\n');
}

/** Lines to paste into a shell: a log-in and a call with its token, if somebody gives tokens; one without. */
export function curlLines(urls: PlaygroundUrls): string {
  const { external, internal, registry, services } = urls;
  const service = exampleService(urls);
  const path = service === 'budgeting' ? '/api/transactions' : '/health';
  const forUsers = (name: ServiceName) => (external ? `${external}/${name}` : services[name][0]);
  const [{ username }] = READY_MADE_USERS;
  const password = READY_MADE_PASSWORD;
  const withToken = [
    `TOKEN=$(curl -s -X POST ${forUsers('userManagement')}/auth/login -H "Content-Type: application/json" \\`,
    `  -d '${JSON.stringify({ username, password })}' | jq -r .access_token)`,
    `curl -i -H "Authorization: Bearer $TOKEN" ${forUsers(service)}${path}`,
  ];
  return [
    ...(services.userManagement.length > 0 ? withToken : []),
    internal ? `curl -i ${internal}/internal/${service}${path}` : `curl -i ${registry}/services`,
  ].join('\n');
}

/** The one with the most to show of those that run. */
function exampleService({ services }: PlaygroundUrls): ServiceName {
  const running = SERVICE_NAMES.filter((name) => services[name].length > 0);
  return running.find((name) => name === 'budgeting') ?? running[0] ?? 'budgeting';
}
