// What `npm run docs` writes of the settings: .env.example and the tables of docs/settings.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { groupSettings, type SettingGroup, type Variable } from '../variables.ts';

const ROOT = join(import.meta.dirname, '../..');
const TABLES = /(?<=<!-- settings -->\n)[\s\S]*?(?=<!-- \/settings -->)/;

/** Long enough to work with every algorithm; rules.ts refuses it in production for its first word. */
const EXAMPLE_SECRET = 'example-secret-for-development-only-put-your-own-here-in-production';

const EXAMPLE_HEAD = `# Settings of the gateway: cp .env.example .env, then change what you need.
# A line that starts with # is off and shows the default. The real environment wins over this file.
# npm run config:check shows what the gateway makes of it; docs/settings.md says what is accepted.
`;

/** docs/settings.md with fresh tables of the settings between its marks, one for each subject. */
export function settingsDocument(current: string): string {
  // A function, since `$` has a meaning in a replacement text.
  return current.replace(TABLES, () => groupSettings().map(table).join(''));
}

function table({ title, page, settings }: SettingGroup): string {
  const head = '| Variable | Default | Accepted | What it does |\n|---|---|---|---|\n';
  const rows = settings.map(([, variable]) => {
    return `| \`${variable.name}\` | ${defaultOf(variable)} | ${variable.kind.accepted} | ${variable.description} |\n`;
  });
  const name = page.replace(/\.md.*$/, '');
  return `\n## ${title}\n\nMore: [${name}](${page}).\n\n${head}${rows.join('')}`;
}

/** .env.example: every setting, commented out with its default, but for the secret that has none. */
export function envExample(): string {
  const groups = groupSettings().map(({ title, settings }) => {
    const entries = settings.map(([field, variable]) => {
      const line =
        field === 'jwtSecret'
          ? `JWT_SECRET=${EXAMPLE_SECRET}`
          : `# ${variable.name}=${variable.default ?? ''}`;
      return `\n# ${variable.description.replaceAll('`', '')}\n${line}\n`;
    });
    return `\n# ---- ${title} ----\n${entries.join('')}`;
  });
  return EXAMPLE_HEAD + groups.join('');
}

function defaultOf(variable: Variable): string {
  if (variable.default === undefined) return variable.unset ?? '';
  return variable.default === '' ? 'none' : `\`${variable.default}\``;
}

/** Writes both anew. */
export function writeSettings(): void {
  const path = join(ROOT, 'docs/settings.md');
  writeFileSync(path, settingsDocument(readFileSync(path, 'utf8')));
  writeFileSync(join(ROOT, '.env.example'), envExample());
}
