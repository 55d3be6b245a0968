import { readFileSync } from 'node:fs';

const MANIFEST = new URL('../../package.json', import.meta.url);

/** What runs, as package.json calls it. */
export const VERSION: string = JSON.parse(readFileSync(MANIFEST, 'utf8')).version;
