import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { ensureCommand, pathOf } from '../processes/command.ts';

const COMMAND = 'chromium';

/** It shows pages of these tests and asks nobody else for anything. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--no-proxy-server',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Browser extends AsyncDisposable {
  /** A page of its own that shows `url`, so that its scripts are of that origin. */
  open(url: string): Promise<Page>;
}

/** Starts a headless Chromium with an empty profile, and further `flags`. It dies with this process. */
export async function startBrowser(flags: readonly string[] = []): Promise<Browser> {
  ensureCommand(COMMAND, COMMAND);
  const profile = mkdtempSync(join(tmpdir(), 'gateway-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: pathOf(COMMAND),
    headless: true,
    args: [...FLAGS, ...flags],
  });
  return {
    async open(url) {
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
    async [Symbol.asyncDispose]() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
